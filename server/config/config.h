#ifndef KEYFERRY_SERVER_CONFIG_CONFIG_H_
#define KEYFERRY_SERVER_CONFIG_CONFIG_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/config/config.pb.h"

namespace keyferry::server {

// One key of the configuration, e.g. path "tls.cert_file".
struct ConfigKey {
  std::string path;
  std::string flag;         // "--tls-cert-file"
  std::string environment;  // "KEYFERRYD_TLS_CERT_FILE"
  std::string help;
};

// Every key but those of lists of maps (`identity`), in the order of config.proto.
const std::vector<ConfigKey>& ConfigKeys();

// Reads YAML into `config`, over what it holds. INVALID_ARGUMENT "SOURCE:LINE: ..." for what is not YAML, an unknown or
// repeated key, or a value of the wrong kind.
absl::Status ReadConfigYaml(const std::string& yaml, const std::string& source, config::Config* config);

// NOT_FOUND or PERMISSION_DENIED if the file cannot be read; otherwise as ReadConfigYaml.
absl::Status ReadConfigFile(const std::string& path, config::Config* config);

// Sets one key from text. INVALID_ARGUMENT naming `source` (a flag or a variable).
absl::Status SetConfigKey(absl::string_view path, const std::string& text, const std::string& source,
                          config::Config* config);

// Fills in defaults and checks that what a start needs is there. INVALID_ARGUMENT names the key and its flag.
absl::Status CompleteConfig(config::Config* config);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_CONFIG_CONFIG_H_
