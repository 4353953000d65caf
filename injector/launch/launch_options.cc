// Parsed by hand: a library for it would be larger than the rest of the launcher.
#include "injector/launch/launch_options.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "injector/supervise/supervise_flags.h"

namespace keyferry::injector::launch {
namespace {

constexpr char kHelp[] =
    R"(Runs CMD in a container with the environment that the pod's keyferry-injector agent has for that container, as
`keyferry-injector exec --supervise` does: it stays as CMD's parent, moves it to a new environment whenever that changes,
and takes values out of its output. A static program that needs nothing of the image.

Usage: keyferry-launch --socket PATH [OPTIONS] -- CMD [ARG...]
       keyferry-launch --copy-to DIR

Options:
  --socket PATH              The agent's socket (or KEYFERRY_AGENT_SOCKET); it may appear later
  --exec                     Become CMD instead: no process of Keyferry's stays, and nothing is rotated or redacted
  --transient                With --exec: CMD is a probe or a hook, and does not count as what the container runs
  --startup-timeout DURATION How long to wait for the agent and the environment: 1s to 1h (default 30s)
  --clean-env                Keep only HOME, PATH, USER, LANG, LC_*, TERM, TZ and TMPDIR of the container's environment
  --unset NAME               Leave this variable of the container's out; may be repeated
  --on-rotate POLICY         mcp, restart, signal:NAME, exit or ignore (default mcp where standard input and output are
                             pipes or sockets, else restart)
  --rotation MODE            mcp: start the new process beside the old one (overlap, the default) or after it (serial)
  --drain-timeout DURATION   mcp: how long a replaced process may work on the requests that it has (default 30s)
  --initialize-timeout DURATION
                             mcp: how long a new process may take until it is ready (default 60s)
  --stop-timeout DURATION    How long a process may take to end after SIGTERM, before SIGKILL (default 10s)
  --debounce DURATION        Act when nothing has changed for this long (default 100ms)
  --splay DURATION           Then wait for a random time up to this (default 0)
  --no-redact                Pass CMD's output on as it is, with the values that it may show
  --copy-to DIR              Install this program as DIR/keyferry-launch, for an init container; do nothing else
  -h, --help                 Print this help
  --version                  Print the version

Exit status, where CMD was not run:
  64   wrong usage or configuration
  69   there was no environment within --startup-timeout: no agent, or the agent waits for keyferryd
  77   not permitted: the agent's identity may not resolve the MCP server, or this user may not use the socket
  78   a required variable has no value anywhere, or the environment cannot be used
  126  CMD was found but could not be run
  127  CMD was not found
Otherwise CMD's own, or 128 + n if signal n ended it.
)";

constexpr char kHint[] = " (`keyferry-launch --help` lists the options)";

absl::Status Wrong(absl::string_view problem) { return absl::InvalidArgumentError(absl::StrCat(problem, kHint)); }

struct Raw {
  LaunchOptions parsed;
  SuperviseFlags supervise;
  std::string startup_timeout = "30s";
};

class Parser {
 public:
  explicit Parser(Raw& raw) : raw_(raw) {}

  absl::Status Parse(const std::vector<std::string>& arguments) {
    for (size_t i = 0; i < arguments.size(); ++i) {
      if (arguments[i] == "--") {
        raw_.parsed.command.assign(arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1, arguments.end());
        return absl::OkStatus();
      }
      if (SetSwitch(arguments[i])) continue;
      const size_t equals = arguments[i].find('=');
      const std::string name = arguments[i].substr(0, equals);
      std::string* const place = PlaceOf(name);
      if (place == nullptr) return Wrong(absl::StrCat("unknown option ", name, "; the command comes after --"));
      if (equals != std::string::npos) {
        *place = arguments[i].substr(equals + 1);
      } else if (i + 1 < arguments.size()) {
        *place = arguments[++i];
      } else {
        return Wrong(absl::StrCat(name, " needs a value"));
      }
      if (place->empty()) return Wrong(absl::StrCat(name, " needs a value"));
    }
    return absl::OkStatus();
  }

 private:
  bool SetSwitch(const std::string& argument) {
    const std::pair<const char*, bool*> switches[] = {
        {"--exec", &raw_.parsed.exec},
        {"--transient", &raw_.parsed.transient},
        {"--clean-env", &raw_.parsed.inherit.clean},
        {"--no-redact", &raw_.supervise.no_redact},
        {"--help", &raw_.parsed.help},
        {"-h", &raw_.parsed.help},
        {"--version", &raw_.parsed.version},
    };
    for (const auto& [name, place] : switches) {
      if (argument != name) continue;
      *place = true;
      return true;
    }
    return false;
  }

  std::string* PlaceOf(const std::string& name) {
    if (name == "--unset") return &raw_.parsed.inherit.unset.emplace_back();
    const std::pair<const char*, std::string*> options[] = {
        {"--socket", &raw_.parsed.socket},
        {"--copy-to", &raw_.parsed.copy_to},
        {"--startup-timeout", &raw_.startup_timeout},
        {"--on-rotate", &raw_.supervise.on_rotate},
        {"--rotation", &raw_.supervise.rotation},
        {"--drain-timeout", &raw_.supervise.drain_timeout},
        {"--initialize-timeout", &raw_.supervise.initialize_timeout},
        {"--stop-timeout", &raw_.supervise.stop_timeout},
        {"--debounce", &raw_.supervise.debounce},
        {"--splay", &raw_.supervise.splay},
    };
    for (const auto& [option, place] : options) {
      if (name == option) return place;
    }
    return nullptr;
  }

  Raw& raw_;
};

absl::Status Check(Raw& raw, const char* variable) {
  LaunchOptions& options = raw.parsed;
  if (options.socket.empty() && variable != nullptr) options.socket = variable;
  if (options.socket.empty()) return Wrong("which agent? Name its socket with --socket PATH");
  if (options.transient && !options.exec) return Wrong("--transient goes with --exec");
  if (options.exec && raw.supervise.any()) {
    return Wrong(
        "with --exec nothing of the launcher is left once CMD runs: leave out what concerns rotation and output");
  }
  absl::StatusOr<SuperviseOptions> supervise = ReadSuperviseFlags(raw.supervise);
  for (const absl::Status& status : {ReadStartupTimeout(raw.startup_timeout, options.startup_timeout),
                                     CheckUnset(options.inherit.unset), supervise.status()}) {
    if (!status.ok()) return Wrong(status.message());
  }
  options.supervise = *supervise;
  if (options.command.empty() || options.command[0].empty()) {
    return Wrong("what is to be run? End the options with -- and give the command after it");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LaunchOptions> ParseLaunchOptions(const std::vector<std::string>& arguments, const char* variable) {
  Raw raw;
  if (absl::Status status = Parser(raw).Parse(arguments); !status.ok()) return status;
  const bool only = raw.parsed.help || raw.parsed.version || !raw.parsed.copy_to.empty();
  if (only) return std::move(raw.parsed);
  if (absl::Status status = Check(raw, variable); !status.ok()) return status;
  return std::move(raw.parsed);
}

const char* LaunchHelp() { return kHelp; }

}  // namespace keyferry::injector::launch
