#ifndef KEYFERRY_SERVER_COMMANDS_H_
#define KEYFERRY_SERVER_COMMANDS_H_

#include "absl/status/status.h"
#include "server/command_line.h"

namespace keyferry::server {

// Runs keyferryd's command to its end. Errors say what is wrong, where, and what to do.
absl::Status RunCommand(const CommandLine& command_line);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_COMMANDS_H_
