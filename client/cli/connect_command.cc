#include <algorithm>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "client/cli/connection_scope.h"
#include "client/cli/context.h"
#include "keyferry/v1/connections.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

using Stub = v1::ConnectionService::Stub;

// An attempt ends by itself after 10 minutes; a server that is down may say so somewhat later.
constexpr absl::Duration kDefaultWait = absl::Minutes(12);
constexpr absl::Duration kPollInterval = absl::Seconds(1);
constexpr absl::Duration kProgressInterval = absl::Minutes(1);

constexpr char kHelp[] =
    "Opens the provider's consent in your browser, or prints the address to open, and waits until you are back. "
    "Compare\n"
    "the code: the page shows the same. Stopped early (Ctrl-C), nothing is stored, and the attempt ends after 10 "
    "minutes.\n"
    "An existing connection stays as it is until the new one is there. Where the provider needs no person it returns "
    "at\n"
    "once. E.g.\n"
    "  keyferry connect github\n"
    "  keyferry connect salesforce --team sales --var domain=acme";

// Shows where the person goes on.
void ShowPage(const Context& context, const Arguments& arguments, const v1::StartConnectionResponse& started) {
  const Streams& streams = context.streams();
  const std::string url = PrintableText(started.start_url());
  const bool opened =
      !arguments.Has("--no-browser") && streams.open_browser && streams.open_browser(started.start_url());
  *streams.error << (opened ? "Your browser opens this page: " : "Open this page in a browser: ") << url << "\n"
                 << "It must show this code:       " << PrintableText(started.confirmation_code()) << std::endl;
}

// Asks until the attempt has ended. The server may be away meanwhile.
Outcome Await(Context& context, const std::string& name, absl::Duration wait, v1::ConnectionAttempt* attempt) {
  const Streams& streams = context.streams();
  const absl::Time deadline = streams.now() + wait;
  absl::Time next_progress = streams.now() + kProgressInterval;
  v1::GetConnectionAttemptRequest request;
  request.set_name(name);
  while (true) {
    Outcome outcome = context.Call(Idempotent::kYes, &Stub::GetConnectionAttempt, request, attempt);
    if (outcome.has_value() && outcome->exit_code != ExitCode::kUnavailable) return outcome;
    if (!outcome.has_value() && attempt->state() != v1::CONNECTION_ATTEMPT_STATE_PENDING) return std::nullopt;
    const absl::Time now = streams.now();
    if (now >= deadline) {
      if (outcome.has_value()) return outcome;
      return Failure{ExitCode::kOther, absl::StrCat("nobody has consented yet: ", name,
                                                    "; finish in the browser, then see `keyferry connection list`")};
    }
    if (now >= next_progress) {
      next_progress += kProgressInterval;
      *streams.error << "Still waiting, " << absl::FormatDuration(absl::Trunc(deadline - now, absl::Seconds(1)))
                     << " left." << std::endl;
    }
    streams.sleep(std::min(kPollInterval, deadline - now));
  }
}

Outcome EndOf(const v1::ConnectionAttempt& attempt, const std::string& provider) {
  switch (attempt.state()) {
    case v1::CONNECTION_ATTEMPT_STATE_SUCCEEDED:
      return std::nullopt;
    case v1::CONNECTION_ATTEMPT_STATE_EXPIRED:
      return Failure{ExitCode::kOther,
                     absl::StrCat("not connected: ", provider, ": nobody consented in time; run the command again")};
    default:
      return Failure{ExitCode::kOther,
                     absl::StrCat("not connected: ", provider, ": ",
                                  attempt.error().empty() ? "the provider refused; run the command again"
                                                          : PrintableText(attempt.error()))};
  }
}

Outcome Connect(Context& context, const Arguments& arguments) {
  std::string name;
  KEYFERRY_RETURN_IF_FAILED(ConnectionName(context, arguments, &name));
  const std::string provider = ProviderIdOf(name);
  v1::StartConnectionRequest request;
  request.set_parent(name.substr(0, name.rfind("/connections/")));
  request.set_oauth_provider_id(provider);
  KEYFERRY_RETURN_IF_FAILED(ReadVariables(arguments, request.mutable_url_variables()));
  for (const std::string& scope : arguments.Texts("--scope")) request.add_scopes(scope);
  v1::StartConnectionResponse started;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::StartConnection, request, &started));
  v1::ConnectionAttempt attempt = started.attempt();
  if (!started.start_url().empty()) {
    ShowPage(context, arguments, started);
    const absl::Duration wait = arguments.Has("--wait") ? arguments.Duration("--wait") : kDefaultWait;
    KEYFERRY_RETURN_IF_FAILED(Await(context, started.attempt().name(), wait, &attempt));
  }
  KEYFERRY_RETURN_IF_FAILED(EndOf(attempt, provider));
  v1::GetConnectionRequest get;
  get.set_name(attempt.connection().empty() ? name : attempt.connection());
  v1::Connection connection;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kYes, &Stub::GetConnection, get, &connection));
  *context.streams().error << "Connected to " << provider;
  if (!connection.account().empty()) *context.streams().error << " as " << PrintableText(connection.account());
  *context.streams().error << "." << std::endl;
  context.printer().Message(connection);
  return std::nullopt;
}

}  // namespace

void AddConnectCommand(CommandTree& tree) {
  std::vector<Option> options = ConnectionScopeOptions();
  options.push_back(VariableOption("Value of a variable in the provider's URLs, for this connection; may be repeated"));
  Option scope = {"--scope", ValueKind::kText, "SCOPE", "Scope to ask for, instead of the provider's; may be repeated"};
  scope.repeated = true;
  options.push_back(scope);
  options.push_back({"--no-browser", ValueKind::kFlag, "", "Print the address and open nothing"});
  options.push_back({"--wait", ValueKind::kDuration, "DURATION", "How long to wait for the consent (default: 12m)"});
  tree.commands.push_back({"connect",
                           "Connect yourself, a team or the organization to an OAuth provider",
                           kHelp,
                           {{"PROVIDER", "The provider's id"}},
                           std::move(options),
                           ConnectionScopesExclude(),
                           Connect});
}

}  // namespace keyferry::client::cli
