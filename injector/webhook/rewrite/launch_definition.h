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

// An MCP server (an id or a full name) for a team ("" for none).
struct AskedServer {
  std::string mcp_server;
  std::string team;
};

// Finds the definitions of MCP servers, all at once, and answers in their order. NOT_FOUND, PERMISSION_DENIED,
// UNAVAILABLE, DEADLINE_EXCEEDED; the messages are for the person who makes the pod.
using DefinitionSource =
    std::function<std::vector<absl::StatusOr<LaunchDefinition>>(const std::vector<AskedServer>& servers)>;

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_LAUNCH_DEFINITION_H_
