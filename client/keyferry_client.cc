#include "client/keyferry_client.h"

#include <cstdlib>

namespace keyferry::client {

absl::StatusOr<std::unique_ptr<Client>> Client::FromEnvironment() {
  auto options = LoadConnectionOptions(ConnectionOptions(), [](const char* name) { return std::getenv(name); });
  if (!options.ok()) return options.status();
  return Open(*options);
}

}  // namespace keyferry::client
