#ifndef KEYFERRY_CLIENT_CLI_INJECT_BINDINGS_H_
#define KEYFERRY_CLIENT_CLI_INJECT_BINDINGS_H_

#include <string>
#include <vector>

#include "client/cli/context.h"
#include "client/cli/outcome.h"
#include "injector/webhook/rewrite/annotations.h"
#include "injector/webhook/rewrite/launch_definition.h"

namespace keyferry::client::cli {

// One variable of a container, as the server explains it to the caller.
struct BindingReport {
  std::string container;
  std::string mcp_server;
  std::string variable;
  // A launch would fail since it is required and has no value.
  bool fails = false;
  // In one sentence, without a value.
  std::string summary;
};

// Asks the server of each container's MCP server. Where only the caller's personal value answers and the container has
// no session, the pod would not get it: that counts as failing.
Outcome ReportBindings(Context& context, const std::vector<injector::webhook::ChosenContainer>& containers,
                       std::vector<BindingReport>* reports);

// Asks the server how MCP servers are started. Refers to `context`.
injector::webhook::DefinitionSource DefinitionsOf(Context& context);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_INJECT_BINDINGS_H_
