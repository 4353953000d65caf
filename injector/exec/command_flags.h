#ifndef KEYFERRY_INJECTOR_EXEC_COMMAND_FLAGS_H_
#define KEYFERRY_INJECTOR_EXEC_COMMAND_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/connection_options.h"

namespace CLI {
class App;
}

namespace keyferry::injector {

// What the commands of keyferry-injector share of their command lines.

// --address, --ca-file, --token-file, --org, --client-cert-file, --client-key-file and --profile.
void AddConnectionFlags(CLI::App& app, client::ConnectionOptions& connection);

// Has `app` read the flags; false if they ask for help. INVALID_ARGUMENT says on one line what is wrong.
absl::StatusOr<bool> ReadFlags(CLI::App& app, const std::vector<std::string>& flags);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_EXEC_COMMAND_FLAGS_H_
