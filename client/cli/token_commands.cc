#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/context.h"
#include "client/secret_text.h"
#include "keyferry/v1/tokens.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

using Stub = v1::TokenService::Stub;

// The principal that --user, --service or --workload names; `found` is false if none is given.
Outcome Principal(Context& context, const Arguments& arguments, std::string* name, bool* found) {
  static constexpr const char* kKinds[] = {"user", "service", "workload"};
  for (const char* kind : kKinds) {
    const std::string option = absl::StrCat("--", kind);
    if (!arguments.Has(option)) continue;
    *found = true;
    return context.ResourceName(absl::StrCat(kind, "s"), arguments.Text(option), name);
  }
  *found = false;
  return std::nullopt;
}

Outcome Create(Context& context, const Arguments& arguments) {
  v1::CreateTokenRequest request;
  bool found = false;
  KEYFERRY_RETURN_IF_FAILED(Principal(context, arguments, request.mutable_parent(), &found));
  if (!found) {
    return UsageFailure("whose token is not said: keyferry token create; give --user, --service or --workload");
  }
  request.set_display_name(arguments.Text("--display-name"));
  if (arguments.Has("--ttl")) {
    request.mutable_ttl()->set_seconds(absl::ToInt64Seconds(arguments.Duration("--ttl")));
  }
  v1::CreateTokenResponse response;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::CreateToken, request, &response));
  if (context.printer().format() == OutputFormat::kTable) {
    context.printer().Message(response.metadata());
    std::string line = absl::StrCat("Token (shown once): ", response.token(), "\n");
    context.printer().Raw(line);
    WipeString(line);
  } else {
    context.printer().Message(response);
  }
  WipeString(*response.mutable_token());
  return std::nullopt;
}

Outcome List(Context& context, const Arguments& arguments) {
  v1::ListTokensRequest request;
  bool found = false;
  KEYFERRY_RETURN_IF_FAILED(Principal(context, arguments, request.mutable_parent(), &found));
  if (!found) {
    v1::Caller caller;
    KEYFERRY_RETURN_IF_FAILED(context.Caller(&caller));
    request.set_parent(caller.principal());
  }
  std::vector<v1::Token> tokens;
  KEYFERRY_RETURN_IF_FAILED(context.List(&Stub::ListTokens, request, &v1::ListTokensResponse::tokens, &tokens));
  context.PrintList(tokens, {{"ID", "name", true},
                             {"DISPLAY-NAME", "display_name"},
                             {"CREATED", "create_time"},
                             {"EXPIRES", "expire_time"},
                             {"CREATOR", "creator", true}});
  return std::nullopt;
}

Outcome Revoke(Context& context, const Arguments& arguments) {
  v1::RevokeTokenRequest request;
  const std::string& id = arguments.Text("TOKEN");
  if (absl::StartsWith(id, "orgs/")) {
    request.set_name(id);
  } else if (id.empty() || absl::StrContains(id, "/")) {
    // Not shown: it could be a token's text.
    return BadData("not a token's id: TOKEN; give an id or resource name that `keyferry token list` shows");
  } else {
    std::string principal;
    bool found = false;
    KEYFERRY_RETURN_IF_FAILED(Principal(context, arguments, &principal, &found));
    if (!found) {
      v1::Caller caller;
      KEYFERRY_RETURN_IF_FAILED(context.Caller(&caller));
      principal = caller.principal();
    }
    request.set_name(absl::StrCat(principal, "/tokens/", id));
  }
  google::protobuf::Empty empty;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::RevokeToken, request, &empty));
  context.printer().Done("revoked", request.name(), absl::StrCat("Revoked ", request.name()));
  return std::nullopt;
}

}  // namespace

void AddTokenCommands(CommandTree& tree) {
  const Option user = {"--user", ValueKind::kText, "ID", "A user's"};
  const Option service = {"--service", ValueKind::kText, "ID", "A service's"};
  const Option workload = {"--workload", ValueKind::kText, "ID", "A workload's"};
  const std::vector<std::vector<std::string>> kinds = {{"--user", "--service", "--workload"}};
  tree.groups.push_back({"token", "Manage the API tokens with which principals sign in to Keyferry"});
  tree.commands.push_back(
      {"token create",
       "Create a token and show it once",
       "The token is never shown again: keep it in a file that only its owner can read.\n"
       "  keyferry token create --user ada --ttl 24h -o json",
       {},
       {user,
        service,
        workload,
        {"--ttl", ValueKind::kDuration, "DURATION", "How long it is valid, 1m to 365d (default: 24h)"},
        {"--display-name", ValueKind::kText, "TEXT", "To tell tokens apart"}},
       kinds,
       Create});
  tree.commands.push_back({"token list",
                           "List tokens without their text",
                           "Your own without an option.",
                           {},
                           {user, service, workload},
                           kinds,
                           List});
  tree.commands.push_back({"token revoke",
                           "Refuse a token from now on",
                           "Your own without an option.",
                           {{"TOKEN", "The token's id or resource name, as `keyferry token list` shows it"}},
                           {user, service, workload},
                           kinds,
                           Revoke});
}

}  // namespace keyferry::client::cli
