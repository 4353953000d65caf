#ifndef KEYFERRY_INJECTOR_AGENT_AGENT_OPTIONS_H_
#define KEYFERRY_INJECTOR_AGENT_AGENT_OPTIONS_H_

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/connection_options.h"

namespace keyferry::injector::agent {

// What one container is served, and where.
struct ContainerOptions {
  // Names it in lines; unique.
  std::string name;
  std::string directory;
  // As --mcp-server and --team of exec.
  std::string mcp_server;
  std::string team;
  // Empty: that of KEYFERRY_SESSION_FILE, if any.
  std::string session_file;
  bool allow_partial = false;
  std::optional<uid_t> uid;
};

// The command line of `keyferry-injector agent`.
struct AgentOptions {
  std::vector<ContainerOptions> containers;
  absl::Duration max_stale = absl::Hours(24);
  absl::Duration drain_timeout = absl::Seconds(30);
  // Where probes ask; empty: nowhere.
  std::string control_directory;
  client::ConnectionOptions connection;
  // Ask a running agent instead of being one.
  bool check_live = false;
  bool check_ready = false;
  // Set if help was asked for; nothing else is then.
  bool help = false;
};

// Parses what follows `agent`, and the file that --config names. INVALID_ARGUMENT says what is wrong and how it is
// meant.
absl::StatusOr<AgentOptions> ParseAgentOptions(const std::vector<std::string>& arguments);

// The text of `keyferry-injector agent --help`.
std::string AgentHelp();

// Reads the text of a configuration file into `options`; `name` stands for the file in errors.
absl::Status ReadAgentConfig(const std::string& text, const std::string& name, AgentOptions& options);

}  // namespace keyferry::injector::agent

#endif  // KEYFERRY_INJECTOR_AGENT_AGENT_OPTIONS_H_
