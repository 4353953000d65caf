#ifndef KEYFERRY_INJECTOR_WEBHOOK_SERVER_CALLS_H_
#define KEYFERRY_INJECTOR_WEBHOOK_SERVER_CALLS_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "injector/webhook/rewrite/launch_definition.h"

namespace keyferry::injector::webhook {

// The calls of keyferryd that the webhook makes. They are begun without waiting; `done` is called once, on any thread,
// within kPatience or little more, and with CANCELLED when this is destroyed. Thread-safe.
class ServerCalls {
 public:
  // What a call may take.
  static constexpr absl::Duration kPatience = absl::Seconds(3);

  using DefinitionDone = std::function<void(absl::StatusOr<LaunchDefinition>)>;
  // One line for each variable that is required and would have no value, never with a value.
  using ExplanationDone = std::function<void(absl::StatusOr<std::vector<std::string>>)>;

  // Waits for the end of what is under way.
  virtual ~ServerCalls() = default;

  // By the resource name of an MCP server; `team` is that of a team, "" for none.
  virtual void Define(const std::string& mcp_server, DefinitionDone done) = 0;
  virtual void Explain(const std::string& mcp_server, const std::string& team, ExplanationDone done) = 0;
};

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_SERVER_CALLS_H_
