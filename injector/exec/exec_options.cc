#include "injector/exec/exec_options.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "injector/exec/command_flags.h"
#include "injector/supervise/supervise_flags.h"

namespace keyferry::injector {
namespace {

constexpr char kDescription[] =
    "Fetches the environment of one MCP server from keyferryd, then replaces itself with CMD, which runs with that\n"
    "environment. No process of Keyferry's stays behind; standard input and output belong to CMD alone. With "
    "--supervise\n"
    "it stays as CMD's parent, moves it to a new environment whenever that changes, and takes values out of its "
    "output.";

constexpr char kFooter[] =
    R"(Connection: each option also comes from its environment variable (KEYFERRY_ADDRESS, KEYFERRY_CA_FILE,
KEYFERRY_TOKEN_FILE, KEYFERRY_ORG, KEYFERRY_CLIENT_CERT_FILE, KEYFERRY_CLIENT_KEY_FILE, KEYFERRY_PROFILE) or from a
profile in ~/.config/keyferry/config.yaml. Flags win over variables, variables over the profile.

Environment of CMD: the caller's, less every KEYFERRY_* variable and what --unset names, plus the MCP server's variables.

Exit status, where CMD was not run:
  64   wrong usage or configuration
  69   keyferryd could not be reached within --startup-timeout, or could not answer
  77   not permitted: the token or the session is not accepted, or this identity may not resolve the MCP server
  78   a required variable has no value anywhere, or the environment that was answered cannot be used
  126  CMD was found but could not be run
  127  CMD was not found
Otherwise the exit status is CMD's own; with --supervise, 128 + n if signal n ended CMD.

What --on-rotate does when the environment changes:
  mcp          the session of a stdio MCP server moves to a new process, which the client does not notice
  restart      stop CMD and start it again; standard input and output stay open
  signal:NAME  send it the signal; its own environment stays as it was
  exit         stop CMD and exit 0, for whoever starts it again
  ignore       do nothing
By default mcp if standard input and output are both pipes or sockets, as an MCP client makes them, else restart.

Example:
  keyferry-injector exec --mcp-server github --supervise -- npx -y @modelcontextprotocol/server-github)";

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App*, std::string) const override {
    return "Usage: keyferry-injector exec --mcp-server ID [OPTIONS] -- CMD [ARG...]\n";
  }
};

struct RawOptions {
  ExecOptions parsed;
  std::string startup_timeout = "30s";
  bool supervise = false;
  SuperviseFlags supervise_flags;
};

void DeclareSupervise(CLI::App& app, RawOptions& options) {
  SuperviseFlags& raw = options.supervise_flags;
  app.add_flag("--supervise", options.supervise, "Stay as CMD's parent; the options below need it");
  app.add_option("--on-rotate", raw.on_rotate, "mcp, restart, signal:NAME, exit or ignore; see below")
      ->type_name("POLICY");
  app.add_option("--rotation", raw.rotation,
                 "mcp: start the new process beside the old one (overlap, the default) or after it (serial)")
      ->type_name("MODE");
  app.add_option("--drain-timeout", raw.drain_timeout,
                 "mcp: how long a replaced process may work on the requests that it has (default 30s)")
      ->type_name("DURATION");
  app.add_option("--initialize-timeout", raw.initialize_timeout,
                 "mcp: how long a new process may take until it is ready (default 60s)")
      ->type_name("DURATION");
  app.add_option("--stop-timeout", raw.stop_timeout,
                 "How long a process may take to end after SIGTERM, before SIGKILL (default 10s)")
      ->type_name("DURATION");
  app.add_option("--debounce", raw.debounce, "Act when nothing has changed for this long (default 100ms)")
      ->type_name("DURATION");
  app.add_option("--splay", raw.splay, "Then wait for a random time up to this (default 0)")->type_name("DURATION");
  app.add_flag("--no-redact", raw.no_redact, "Pass CMD's output on as it is, with the values that it may show");
}

void Declare(CLI::App& app, RawOptions& raw) {
  ExecOptions& options = raw.parsed;
  app.formatter(std::make_shared<HelpFormatter>());
  app.footer(kFooter);
  app.add_option("--mcp-server", options.mcp_server,
                 "Id of the MCP server, or its resource name (orgs/ORG/mcpServers/ID)")
      ->type_name("ID");
  app.add_option("--team", options.team, "Team whose MCP server or credentials to use")->type_name("TEAM");
  app.add_option("--session-file", options.session_file,
                 "File that holds a session's token: that user's own credentials answer too (or KEYFERRY_SESSION_FILE)")
      ->type_name("FILE");
  app.add_flag("--clean-env", options.inherit.clean,
               "Keep only HOME, PATH, USER, LANG, LC_*, TERM, TZ and TMPDIR of the caller's environment");
  app.add_option("--unset", options.inherit.unset, "Leave this variable of the caller's out; may be repeated")
      ->type_name("NAME")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_flag("--allow-partial", options.allow_partial, "Run CMD even if a required variable has no value");
  app.add_option("--startup-timeout", raw.startup_timeout,
                 "How long to keep trying to reach keyferryd: 1s to 1h (default 30s)")
      ->type_name("DURATION");
  DeclareSupervise(app, raw);
  AddConnectionFlags(app, options.connection);
}

absl::Status CheckSupervise(const RawOptions& raw, std::optional<SuperviseOptions>& result) {
  if (!raw.supervise) {
    if (!raw.supervise_flags.any()) return absl::OkStatus();
    return absl::InvalidArgumentError(
        "--on-rotate, --rotation, --drain-timeout, --initialize-timeout, --stop-timeout, --debounce, --splay and "
        "--no-redact need --supervise: without it nothing of the injector is left once CMD runs");
  }
  absl::StatusOr<SuperviseOptions> options = ReadSuperviseFlags(raw.supervise_flags);
  if (!options.ok()) return options.status();
  result = *options;
  return absl::OkStatus();
}

absl::Status CheckParsed(RawOptions& raw) {
  ExecOptions& options = raw.parsed;
  if (options.mcp_server.empty()) {
    return absl::InvalidArgumentError("which MCP server? Name it with --mcp-server ID");
  }
  for (const absl::Status& status : {ReadStartupTimeout(raw.startup_timeout, options.startup_timeout),
                                     CheckSupervise(raw, options.supervise), CheckUnset(options.inherit.unset)}) {
    if (!status.ok()) return status;
  }
  if (options.command.empty() || options.command[0].empty()) {
    return absl::InvalidArgumentError("what is to be run? End the options with -- and give the command after it");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ExecOptions> ParseExecOptions(const std::vector<std::string>& arguments) {
  const auto separator = std::find(arguments.begin(), arguments.end(), "--");
  RawOptions raw;
  CLI::App app(kDescription);
  Declare(app, raw);
  const absl::StatusOr<bool> read = ReadFlags(app, {arguments.begin(), separator});
  if (!read.ok()) return read.status();
  raw.parsed.help = !*read;
  if (raw.parsed.help) return std::move(raw.parsed);
  if (separator != arguments.end()) raw.parsed.command.assign(separator + 1, arguments.end());
  if (absl::Status status = CheckParsed(raw); !status.ok()) return status;
  return std::move(raw.parsed);
}

std::string ExecHelp() {
  RawOptions raw;
  CLI::App app(kDescription);
  Declare(app, raw);
  return app.help();
}

absl::StatusOr<ResolveTarget> TargetOf(const ExecOptions& options, const std::string& org) {
  ResolveTarget target;
  if (absl::StartsWith(options.mcp_server, "orgs/")) {
    target.mcp_servers = {options.mcp_server};
    if (options.team.empty()) return target;
    const std::vector<std::string> parts = absl::StrSplit(options.mcp_server, '/');
    if (parts.size() == 6 && parts[2] == "teams" && parts[3] != options.team) {
      return absl::InvalidArgumentError(
          absl::StrCat(options.mcp_server, " belongs to another team than --team ", options.team));
    }
    target.team = absl::StrCat("orgs/", parts[1], "/teams/", options.team);
    return target;
  }
  if (org.empty()) return absl::InvalidArgumentError("an MCP server's id needs an organization: set KEYFERRY_ORG");
  const std::string org_name = absl::StrCat("orgs/", org);
  if (!options.team.empty()) {
    target.team = absl::StrCat(org_name, "/teams/", options.team);
    target.mcp_servers.push_back(absl::StrCat(target.team, "/mcpServers/", options.mcp_server));
  }
  target.mcp_servers.push_back(absl::StrCat(org_name, "/mcpServers/", options.mcp_server));
  return target;
}

}  // namespace keyferry::injector
