#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_LAUNCH_DEFINITION_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_LAUNCH_DEFINITION_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace keyferry::injector::webhook {

// How an MCP server's definition says that it is started.
struct LaunchDefinition {
  std::string command;
  std::vector<std::string> args;
};

// Finds the definition of an MCP server (an id or a full name) for a team ("" for none). NOT_FOUND, PERMISSION_DENIED,
// UNAVAILABLE; the message is for the person who makes the pod.
using DefinitionSource =
    std::function<absl::StatusOr<LaunchDefinition>(const std::string& mcp_server, const std::string& team)>;

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_LAUNCH_DEFINITION_H_
