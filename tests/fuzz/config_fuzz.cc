// keyferryd's configuration as an operator writes it: an error names the file and changes nothing.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/match.h"
#include "server/config/config.h"
#include "server/config/identity_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  keyferry::config::Config config;
  config.set_listen("127.0.0.1:7443");
  const std::string before = config.SerializeAsString();
  const auto status =
      keyferry::server::ReadConfigYaml(std::string(reinterpret_cast<const char*>(data), size), "file.yaml", &config);
  if (status.ok()) {
    if (!keyferry::server::CompleteIdentity(config.mutable_identity()).ok()) return 0;
    for (const auto& issuer : config.identity().issuers()) {
      if ((issuer.kind() == "oidc") != issuer.has_people()) std::abort();
      if (issuer.kind() == "oidc" && (issuer.orgs().empty() || issuer.audience().empty())) std::abort();
    }
    return 0;
  }
  if (!absl::StartsWith(status.message(), "file.yaml:") || config.SerializeAsString() != before) std::abort();
  return 0;
}
