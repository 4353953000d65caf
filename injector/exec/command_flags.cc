#include "injector/exec/command_flags.h"

#include <algorithm>

#include "CLI/CLI.hpp"

namespace keyferry::injector {

void AddConnectionFlags(CLI::App& app, client::ConnectionOptions& connection) {
  app.add_option("--address", connection.address, "keyferryd's HOST:PORT")->type_name("HOST:PORT");
  app.add_option("--ca-file", connection.ca_file, "Certificates to trust, PEM")->type_name("FILE");
  app.add_option("--token-file", connection.token_file, "File that holds the API token")->type_name("FILE");
  app.add_option("--org", connection.org, "Organization")->type_name("ORG");
  app.add_option("--client-cert-file", connection.client_cert_file, "Client certificate, PEM")->type_name("FILE");
  app.add_option("--client-key-file", connection.client_key_file, "Its key, PEM")->type_name("FILE");
  app.add_option("--profile", connection.profile, "Profile of the profile file")->type_name("NAME");
}

absl::StatusOr<bool> ReadFlags(CLI::App& app, const std::vector<std::string>& flags) {
  // CLI11 takes them last first.
  std::vector<std::string> reversed(flags.rbegin(), flags.rend());
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return false;
  } catch (const CLI::ParseError& error) {
    std::string line = error.what();
    std::replace(line.begin(), line.end(), '\n', ' ');
    return absl::InvalidArgumentError(line);
  }
  return true;
}

}  // namespace keyferry::injector
