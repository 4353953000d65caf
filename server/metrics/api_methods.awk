# Makes the source of ApiMethods() from the files of the API.
BEGIN {
  print "#include \"server/metrics/api_methods.h\""
  print "namespace keyferry::server {"
  print "std::vector<std::string> ApiMethods() {"
  print "  return {"
}
/^service / { service = $2 }
/^  rpc / { split($2, parts, "("); printf "      \"%s/%s\",\n", service, parts[1] }
END {
  print "  };"
  print "}"
  print "}  // namespace keyferry::server"
}
