#ifndef KEYFERRY_INJECTOR_EXEC_EXEC_OPTIONS_H_
#define KEYFERRY_INJECTOR_EXEC_EXEC_OPTIONS_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/connection_options.h"
#include "injector/exec/environment.h"
#include "injector/supervise/supervise_options.h"

namespace keyferry::injector {

// The command line of `keyferry-injector exec`.
struct ExecOptions {
  // Id or resource name, as it was given.
  std::string mcp_server;
  // Id of a team, empty if none was given.
  std::string team;
  InheritRules inherit;
  bool allow_partial = false;
  // File that holds a session's token; empty if no flag names one.
  std::string session_file;
  // 1 s to 1 h.
  absl::Duration startup_timeout = absl::Seconds(30);
  // What flags say of the connection; the rest comes from LoadConnectionOptions.
  client::ConnectionOptions connection;
  // With --supervise: how the command is looked after; without, it replaces the injector.
  std::optional<SuperviseOptions> supervise;
  // Program and arguments, at least one.
  std::vector<std::string> command;
  // Set if help was asked for; nothing else is then.
  bool help = false;
};

// Parses what follows `exec`. INVALID_ARGUMENT says what is wrong and how it is meant.
absl::StatusOr<ExecOptions> ParseExecOptions(const std::vector<std::string>& arguments);

// The text of `keyferry-injector exec --help`.
std::string ExecHelp();

// How the server names what `options` ask for, given the organization that is connected to.
struct ResolveTarget {
  // Resource names of MCP servers, to be tried in this order until one is found.
  std::vector<std::string> mcp_servers;
  // Resource name of the team for an organization's MCP server; empty if none was given.
  std::string team;
};

// A full resource name stands for itself. An id is an MCP server of the organization; with a team it is the team's MCP
// server of that id or, where the team has none, the organization's with the team's credentials. INVALID_ARGUMENT if an
// organization is needed and `org` is empty, or if a full name contradicts the team.
absl::StatusOr<ResolveTarget> TargetOf(const ExecOptions& options, const std::string& org);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_EXEC_EXEC_OPTIONS_H_
