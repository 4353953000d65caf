#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "client/cli/completion.h"
#include "client/cli/context.h"
#include "client/cli/health.h"
#include "client/cli/last_backup.h"
#include "keyferry/v1/tokens.pb.h"

namespace keyferry::client::cli {
namespace {

constexpr char kDataDirVariable[] = "KEYFERRYD_DATA_DIR";

// "" where the server's machine is another one.
std::string DataDir(const Context& context, const Arguments& arguments) {
  if (arguments.Has("--data-dir")) return arguments.Text("--data-dir");
  const char* const set = context.streams().environment(kDataDirVariable);
  return set == nullptr ? "" : set;
}

// How the caller came in.
std::string WayOf(const v1::Caller& caller) {
  if (caller.issuer().empty()) return "an API token";
  return absl::StrCat("the issuer ", caller.issuer(), ", as ", caller.subject());
}

std::string ExpiryOf(Context& context, const v1::Caller& caller) {
  if (!caller.has_token_expire_time()) return "";
  const absl::Time expiry = absl::FromUnixSeconds(caller.token_expire_time().seconds());
  std::string expires = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", expiry, absl::UTCTimeZone());
  if (context.printer().format() == OutputFormat::kTable) {
    absl::StrAppend(&expires, " (", HumanTime(expiry, context.streams().now()), ")");
  }
  return expires;
}

Outcome WhoAmI(Context& context, const Arguments&) {
  v1::Caller caller;
  KEYFERRY_RETURN_IF_FAILED(context.Caller(&caller));
  context.printer().Facts({{"principal", "You are", caller.principal()},
                           {"identity", "By", WayOf(caller)},
                           {"tokenExpireTime", "Token expires", ExpiryOf(context, caller)}});
  return std::nullopt;
}

Outcome Status(Context& context, const Arguments& arguments) {
  const Connection* connection = nullptr;
  KEYFERRY_RETURN_IF_FAILED(context.Connect(&connection));
  std::string health;
  KEYFERRY_RETURN_IF_FAILED(CheckHealth(*connection, context.Policy(Idempotent::kYes), &health));
  v1::Caller caller;
  KEYFERRY_RETURN_IF_FAILED(context.Caller(&caller));
  std::vector<Fact> facts = {{"address", "Server", connection->options().address},
                             {"health", "Health", health},
                             {"serverVersion", "Server version", caller.server_version()},
                             {"clientVersion", "Client version", kClientVersion},
                             {"principal", "You are", caller.principal()},
                             {"identity", "By", WayOf(caller)},
                             {"tokenExpireTime", "Token expires", ExpiryOf(context, caller)}};
  if (const std::string data_dir = DataDir(context, arguments); !data_dir.empty()) {
    for (Fact& fact : LastBackup(data_dir, context.printer().format())) facts.push_back(std::move(fact));
  }
  context.printer().Facts(facts);
  if (health == "SERVING") return std::nullopt;
  return Failure{ExitCode::kUnavailable, absl::StrCat("the server is not serving (", health,
                                                      "): ", connection->options().address, "; see its log")};
}

Outcome Completion(Context& context, const Arguments& arguments) {
  context.printer().Raw(arguments.Text("SHELL") == "bash" ? BashCompletion(context.tree())
                                                          : ZshCompletion(context.tree()));
  return std::nullopt;
}

Outcome Version(Context& context, const Arguments&) {
  if (context.printer().format() == OutputFormat::kTable) {
    context.printer().Raw(absl::StrCat("keyferry ", kClientVersion, "\n"));
  } else {
    context.printer().Facts({{"version", "Version", kClientVersion}});
  }
  return std::nullopt;
}

}  // namespace

void AddToolCommands(CommandTree& tree) {
  tree.commands.push_back({"status",
                           "Show the server's address, health and version, who you are, and when your token expires",
                           "On the server's machine, as its user, also what became of the last backup.",
                           {},
                           {{"--data-dir", ValueKind::kFile, "DIR",
                             "Data directory of the server, if it runs on this machine (default: KEYFERRYD_DATA_DIR)"}},
                           {},
                           Status});
  tree.commands.push_back({"whoami", "Show who you are, and by what token", "", {}, {}, {}, WhoAmI});
  tree.commands.push_back({"completion",
                           "Print a completion script for your shell",
                           "bash:  source <(keyferry completion bash)\n"
                           "zsh:   keyferry completion zsh > \"${fpath[1]}/_keyferry\"",
                           {{"SHELL", "The shell", {"bash", "zsh"}}},
                           {},
                           {},
                           Completion});
  tree.commands.push_back({"version", "Print the version of this program", "", {}, {}, {}, Version});
}

}  // namespace keyferry::client::cli
