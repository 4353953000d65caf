#ifndef KEYFERRY_INJECTOR_AGENT_CONTAINER_OPTIONS_H_
#define KEYFERRY_INJECTOR_AGENT_CONTAINER_OPTIONS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "injector/agent/agent_options.h"

namespace keyferry::injector::agent {

// As in flags (`mcp-server`), or as in the configuration file (`mcpServer`). Each takes its own alone.
enum class KeySpelling { kFlag, kFile };

// Sets what `key` names. INVALID_ARGUMENT, without saying where: the key is unknown, or the value is not as it must be.
absl::Status SetContainerOption(KeySpelling spelling, absl::string_view key, const std::string& value,
                                ContainerOptions& container);

// Reads the value of --container: `name=github,directory=/run/keyferry/github,mcp-server=github,uid=1000`.
absl::Status ReadContainerFlag(const std::string& text, ContainerOptions& container);

// INVALID_ARGUMENT if something is missing, a name or a directory is used twice, or there is no container.
absl::Status CheckContainers(const AgentOptions& options);

// A duration from `shortest` to 30 days, for the option of that name.
absl::Status ReadAgentDuration(absl::string_view option, const std::string& text, absl::Duration& result);

}  // namespace keyferry::injector::agent

#endif  // KEYFERRY_INJECTOR_AGENT_CONTAINER_OPTIONS_H_
