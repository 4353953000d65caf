#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/cli/commands.h"
#include "client/cli/connection_scope.h"
#include "client/cli/context.h"
#include "client/cli/held_warning.h"
#include "keyferry/v1/connections.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

using Stub = v1::ConnectionService::Stub;

Outcome Get(Context& context, const std::string& name, v1::Connection* connection) {
  v1::GetConnectionRequest request;
  request.set_name(name);
  return context.Call(Idempotent::kYes, &Stub::GetConnection, request, connection);
}

Outcome List(Context& context, const Arguments& arguments) {
  v1::ListConnectionsRequest request;
  const bool one_scope = arguments.Has("--me") || arguments.Has("--team") || arguments.Has("--org-wide");
  if (one_scope) {
    KEYFERRY_RETURN_IF_FAILED(ConnectionParent(context, arguments, request.mutable_parent()));
  } else {
    KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_parent()));
    request.set_all_scopes(true);
  }
  request.set_oauth_provider_id(arguments.Text("--provider"));
  std::vector<v1::Connection> connections;
  KEYFERRY_RETURN_IF_FAILED(
      context.List(&Stub::ListConnections, request, &v1::ListConnectionsResponse::connections, &connections));
  context.PrintList(connections, {{"CONNECTION", "name", /*last_segment=*/one_scope},
                                  {"STATE", "state"},
                                  {"ACCOUNT", "account"},
                                  {"VERSION", "version"},
                                  {"EXPIRES", "expire_time"},
                                  {"NEXT-REFRESH", "next_refresh_time"},
                                  {"FAILURES", "failure_count"},
                                  {"LAST-ERROR", "last_error"}});
  return std::nullopt;
}

// Says of a connection that is not there how it is made. One that the caller may not see is said to be absent too.
Outcome OrConnect(const std::string& name, Outcome outcome) {
  if (!outcome.has_value() || outcome->code != absl::StatusCode::kNotFound) return outcome;
  // Its team may be what is not there.
  if (!absl::StrContains(outcome->line, name)) return outcome;
  const std::vector<std::string> segments = absl::StrSplit(name, '/');
  std::string scope = segments.size() == 4 ? " --org-wide" : "";
  if (segments.size() == 6 && segments[2] == "teams") scope = absl::StrCat(" --team ", segments[3]);
  outcome->line = absl::StrCat("not connected: ", name, "; run `keyferry connect ", ProviderIdOf(name), scope, "`");
  return outcome;
}

Outcome Describe(Context& context, const Arguments& arguments) {
  std::string name;
  KEYFERRY_RETURN_IF_FAILED(ConnectionName(context, arguments, &name));
  v1::Connection connection;
  KEYFERRY_RETURN_IF_FAILED(OrConnect(name, Get(context, name, &connection)));
  context.printer().Message(connection);
  return std::nullopt;
}

Outcome Refresh(Context& context, const Arguments& arguments) {
  v1::RefreshConnectionRequest request;
  KEYFERRY_RETURN_IF_FAILED(ConnectionName(context, arguments, request.mutable_name()));
  v1::Connection connection;
  KEYFERRY_RETURN_IF_FAILED(
      OrConnect(request.name(), context.Call(Idempotent::kYes, &Stub::RefreshConnection, request, &connection)));
  context.printer().Message(connection);
  return std::nullopt;
}

Outcome Disconnect(Context& context, const Arguments& arguments) {
  v1::DeleteConnectionRequest request;
  KEYFERRY_RETURN_IF_FAILED(ConnectionName(context, arguments, request.mutable_name()));
  if (context.streams().input_is_terminal && !arguments.Has("--yes")) {
    v1::Connection connection;
    KEYFERRY_RETURN_IF_FAILED(Get(context, request.name(), &connection));
    WarnOfHolders(context, request.name());
    *context.streams().error << "Connected as "
                             << (connection.account().empty() ? "an unnamed account"
                                                              : PrintableText(connection.account()))
                             << "\n";
  }
  // Without an etag: a refresh in between does not make it another connection.
  KEYFERRY_RETURN_IF_FAILED(context.Confirm(
      absl::StrCat("Revoke the tokens of ", request.name(), " and delete it for good?"), arguments.Has("--yes")));
  google::protobuf::Empty empty;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::DeleteConnection, request, &empty));
  context.printer().Done("disconnected", request.name(), absl::StrCat("Disconnected ", request.name()));
  return std::nullopt;
}

}  // namespace

void AddConnectionCommands(CommandTree& tree) {
  const Positional provider = {"PROVIDER", "The provider's id, or a connection's full resource name"};
  std::vector<Option> list = ConnectionScopeOptions();
  list[0].help = "Your own connections";
  list.push_back({"--provider", ValueKind::kText, "ID", "Only connections to this provider"});
  std::vector<Option> disconnect = ConnectionScopeOptions();
  disconnect.push_back(YesOption());
  tree.groups.push_back({"connection", "See, refresh and end connections to OAuth providers"});
  tree.commands.push_back({"connection list",
                           "List connections",
                           "Without an option, all that you may see in the organization.",
                           {},
                           std::move(list),
                           ConnectionScopesExclude(),
                           List});
  tree.commands.push_back({"connection describe",
                           "Show everything about a connection but its tokens",
                           "",
                           {provider},
                           ConnectionScopeOptions(),
                           ConnectionScopesExclude(),
                           Describe});
  tree.commands.push_back({"connection refresh",
                           "Fetch a fresh access token now",
                           "Tokens are refreshed by themselves; this is for one that was refused before its time.",
                           {provider},
                           ConnectionScopeOptions(),
                           ConnectionScopesExclude(),
                           Refresh});
  tree.commands.push_back({"connection disconnect",
                           "Revoke a connection's tokens at the provider and delete it",
                           "Says first what will lose access. Tokens that cannot be revoked now are tried again later.",
                           {provider},
                           std::move(disconnect),
                           ConnectionScopesExclude(),
                           Disconnect});
}

}  // namespace keyferry::client::cli
