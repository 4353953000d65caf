# No path or host of one machine, and no unfinished work, stands in any file.
code=0
forbid() {
  local what=$1 pattern=$2
  if git grep -nIE "$pattern" -- ':!tests/lint/repository.sh' ':!*/package-lock.json' ':!LICENSE'; then
    echo "found: $what"
    code=1
  fi
}
forbid "a path of one machine" '(^|[^A-Za-z0-9_.$}-])/(work|root|home)/[A-Za-z0-9_.]'
forbid "unfinished work" '\b(TODO|FIXME|XXX)\b'
forbid "a package mirror" '\b(deb|registry|mirror|proxy)\.[a-z0-9.-]+\.(org|com|net)\b'
if grep -n '"resolved"' tests/e2e/package-lock.json; then
  echo "found: a download address in package-lock.json"
  code=1
fi
exit $code
