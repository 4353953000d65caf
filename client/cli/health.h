#ifndef KEYFERRY_CLIENT_CLI_HEALTH_H_
#define KEYFERRY_CLIENT_CLI_HEALTH_H_

#include <string>

#include "client/cli/outcome.h"
#include "client/connection.h"

namespace keyferry::client::cli {

// Asks the server for its health by the gRPC Health Checking Protocol (grpc.health.v1.Health/Check of the whole
// server): SERVING, NOT_SERVING or UNKNOWN.
Outcome CheckHealth(const Connection& connection, const CallPolicy& policy, std::string* health);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_HEALTH_H_
