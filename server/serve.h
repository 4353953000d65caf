#ifndef KEYFERRY_SERVER_SERVE_H_
#define KEYFERRY_SERVER_SERVE_H_

#include "absl/status/status.h"
#include "server/command_line.h"

namespace keyferry::server {

// Serve until SIGTERM or SIGINT. Errors say why the server could not start.
absl::Status Serve(const CommandLine& command_line);
// With keys, certificates, org and admin of its own in the data directory.
absl::Status ServeDev(const CommandLine& command_line);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_SERVE_H_
