#include "injector/agent/agent_options.h"

#include <memory>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "client/files.h"
#include "injector/agent/container_options.h"
#include "injector/exec/command_flags.h"

namespace keyferry::injector::agent {
namespace {

constexpr size_t kMaxConfigBytes = 256 * 1024;

constexpr char kDescription[] =
    "Serves the containers of one pod: watches the environment of each container's MCP server at keyferryd and hands "
    "it\n"
    "to the keyferry-launch in that container, over a Unix socket in the container's own directory. Whoever can mount\n"
    "that directory is served from it; nothing else is asked of a launcher but its user id, if one is given.";

constexpr char kFooter[] =
    R"(A container is KEY=VALUE,... with the keys
  name           names it in lines
  directory      of its own, mounted by it and by the agent; the socket agent.sock is made there
  mcp-server     id or resource name, as for exec
  team           team whose MCP server or credentials to use
  session-file   file that holds a session's token (or KEYFERRY_SESSION_FILE)
  allow-partial  true: also without a value for a required variable
  uid            the only user that is served; without it whoever reaches the socket

The file of --config is YAML with the keys maxStale, drainTimeout, controlDirectory and containers, a list of maps with
the keys above in camel case (mcpServer, sessionFile, allowPartial). Flags win.

Connection: as for exec; each option also comes from its variable (KEYFERRY_ADDRESS, KEYFERRY_CA_FILE,
KEYFERRY_TOKEN_FILE, KEYFERRY_ORG, KEYFERRY_CLIENT_CERT_FILE, KEYFERRY_CLIENT_KEY_FILE, KEYFERRY_PROFILE) or a profile.
The token and the sessions are read again whenever the server refuses them or the connection is lost.

Exit status:
  0    drained after SIGTERM or SIGINT; a check that passed
  64   wrong usage or configuration
  69   a check that failed, or another agent serves one of the sockets

Example:
  keyferry-injector agent --control-dir /run/keyferry/control \
    --container name=github,directory=/run/keyferry/github,mcp-server=github,uid=1000)";

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App*, std::string) const override {
    return "Usage: keyferry-injector agent [OPTIONS] --container KEY=VALUE,...\n"
           "       keyferry-injector agent --check-live|--check-ready --control-dir DIR\n";
  }
};

struct RawOptions {
  AgentOptions parsed;
  std::vector<std::string> containers;
  std::string config;
  std::string max_stale;
  std::string drain_timeout;
};

void Declare(CLI::App& app, RawOptions& raw) {
  AgentOptions& options = raw.parsed;
  app.formatter(std::make_shared<HelpFormatter>());
  app.footer(kFooter);
  app.add_option("--container", raw.containers, "A container to serve; may be repeated")
      ->type_name("KEY=VALUE,...")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  app.add_option("--config", raw.config, "File with the containers and the options")->type_name("FILE");
  app.add_option("--max-stale", raw.max_stale,
                 "How long new launches get last known values while keyferryd cannot be asked (default 24h)")
      ->type_name("DURATION");
  app.add_option("--drain-timeout", raw.drain_timeout,
                 "After SIGTERM: how long to wait for the commands that are served to end (default 30s)")
      ->type_name("DURATION");
  app.add_option("--control-dir", options.control_directory, "Directory of the socket that the checks ask at")
      ->type_name("DIR");
  app.add_flag("--check-live", options.check_live, "Ask whether a running agent answers");
  app.add_flag("--check-ready", options.check_ready, "Ask whether it would answer a launch in any container at once");
  AddConnectionFlags(app, options.connection);
}

absl::Status ReadConfigFile(const std::string& path, AgentOptions& options) {
  if (path.empty()) return absl::OkStatus();
  const absl::StatusOr<std::string> text = client::ReadFile(path, "the agent's configuration", kMaxConfigBytes);
  if (!text.ok()) return text.status();
  const std::string control_directory = options.control_directory;
  absl::Status status = ReadAgentConfig(*text, path, options);
  if (!control_directory.empty()) options.control_directory = control_directory;
  return status;
}

absl::Status ReadRaw(const RawOptions& raw, AgentOptions& options) {
  if (!raw.max_stale.empty()) {
    if (absl::Status status = ReadAgentDuration("--max-stale", raw.max_stale, options.max_stale); !status.ok()) {
      return status;
    }
  }
  if (!raw.drain_timeout.empty()) {
    const absl::Status status = ReadAgentDuration("--drain-timeout", raw.drain_timeout, options.drain_timeout);
    if (!status.ok()) return status;
  }
  for (const std::string& text : raw.containers) {
    if (absl::Status status = ReadContainerFlag(text, options.containers.emplace_back()); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Check(RawOptions& raw) {
  AgentOptions& options = raw.parsed;
  if (absl::Status status = ReadConfigFile(raw.config, options); !status.ok()) return status;
  if (absl::Status status = ReadRaw(raw, options); !status.ok()) return status;
  if (!options.check_live && !options.check_ready) return CheckContainers(options);
  if (options.control_directory.empty()) {
    return absl::InvalidArgumentError("which agent? Name the directory of its socket with --control-dir");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<AgentOptions> ParseAgentOptions(const std::vector<std::string>& arguments) {
  RawOptions raw;
  CLI::App app(kDescription);
  Declare(app, raw);
  const absl::StatusOr<bool> read = ReadFlags(app, arguments);
  if (!read.ok()) return read.status();
  raw.parsed.help = !*read;
  if (raw.parsed.help) return std::move(raw.parsed);
  if (absl::Status status = Check(raw); !status.ok()) return status;
  return std::move(raw.parsed);
}

std::string AgentHelp() {
  RawOptions raw;
  CLI::App app(kDescription);
  Declare(app, raw);
  return app.help();
}

}  // namespace keyferry::injector::agent
