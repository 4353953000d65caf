#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/context.h"
#include "client/cli/mcp_server_name.h"
#include "client/secret_text.h"
#include "keyferry/v1/sessions.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

using Stub = v1::SessionService::Stub;

Outcome Create(Context& context, const Arguments& arguments) {
  v1::CreateSessionRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_parent()));
  v1::Session* session = request.mutable_session();
  KEYFERRY_RETURN_IF_FAILED(context.ResourceName("users", arguments.Text("--user"), session->mutable_user()));
  if (arguments.Has("--team")) {
    KEYFERRY_RETURN_IF_FAILED(context.ResourceName("teams", arguments.Text("--team"), session->mutable_team()));
  }
  for (const std::string& text : arguments.Texts("--mcp-server")) {
    KEYFERRY_RETURN_IF_FAILED(McpServerName(context, text, /*team=*/"", session->add_mcp_servers()));
  }
  if (arguments.Has("--workload")) {
    KEYFERRY_RETURN_IF_FAILED(
        context.ResourceName("workloads", arguments.Text("--workload"), session->mutable_workload()));
  }
  if (arguments.Has("--ttl")) {
    request.mutable_ttl()->set_seconds(absl::ToInt64Seconds(arguments.Duration("--ttl")));
  }
  v1::CreateSessionResponse response;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::CreateSession, request, &response));
  if (context.printer().format() == OutputFormat::kTable) {
    context.printer().Message(response.session());
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
  v1::ListSessionsRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_parent()));
  if (arguments.Has("--user")) {
    KEYFERRY_RETURN_IF_FAILED(context.ResourceName("users", arguments.Text("--user"), request.mutable_user()));
  }
  std::vector<v1::Session> sessions;
  KEYFERRY_RETURN_IF_FAILED(context.List(&Stub::ListSessions, request, &v1::ListSessionsResponse::sessions, &sessions));
  context.PrintList(sessions, {{"ID", "name", true},
                               {"USER", "user", true},
                               {"TEAM", "team", true},
                               {"WORKLOAD", "workload", true},
                               {"EXPIRES", "expire_time"},
                               {"CREATOR", "creator", true},
                               {"MCP-SERVERS", "mcp_servers"}});
  return std::nullopt;
}

Outcome SessionName(Context& context, const Arguments& arguments, std::string* name) {
  const std::string& id = arguments.Text("SESSION");
  // Not shown: it is, or could be, a token's text.
  if (absl::StartsWith(id, "kfs_") || (absl::StrContains(id, "/") && !absl::StartsWith(id, "orgs/"))) {
    return BadData("not a session's id: SESSION; give an id or resource name that `keyferry session list` shows");
  }
  return context.ResourceName("sessions", id, name);
}

Outcome Describe(Context& context, const Arguments& arguments) {
  v1::GetSessionRequest request;
  KEYFERRY_RETURN_IF_FAILED(SessionName(context, arguments, request.mutable_name()));
  v1::Session session;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kYes, &Stub::GetSession, request, &session));
  context.printer().Message(session);
  return std::nullopt;
}

Outcome Revoke(Context& context, const Arguments& arguments) {
  v1::RevokeSessionRequest request;
  KEYFERRY_RETURN_IF_FAILED(SessionName(context, arguments, request.mutable_name()));
  google::protobuf::Empty empty;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::RevokeSession, request, &empty));
  context.printer().Done("revoked", request.name(), absl::StrCat("Revoked ", request.name()));
  return std::nullopt;
}

}  // namespace

void AddSessionCommands(CommandTree& tree) {
  const Positional session = {"SESSION", "The session's id or resource name, as `keyferry session list` shows it"};
  Option user = {"--user", ValueKind::kText, "ID", "Whose personal credentials answer"};
  user.required = true;
  Option server = {"--mcp-server", ValueKind::kText, "MCP_SERVER",
                   "What it may launch: ID, TEAM/ID or a full resource name; may be repeated"};
  server.required = true;
  server.repeated = true;
  tree.groups.push_back({"session", "Manage the sessions in which workloads act for users"});
  tree.commands.push_back(
      {"session create",
       "Create a session and show its token once",
       "For services that may create sessions, and for yourself. A workload that may use sessions presents the token\n"
       "(keyferry-injector exec --session-file) and gets the user's own values too.\n"
       "  keyferry session create --user ada --mcp-server github --ttl 1h -o json",
       {},
       {user,
        {"--team", ValueKind::kText, "TEAM", "Whose credentials answer too for the organization's MCP servers"},
        server,
        {"--workload", ValueKind::kText, "ID", "The only workload that may present it (default: any that may)"},
        {"--ttl", ValueKind::kDuration, "DURATION", "How long it lasts, 1m to 24h (default: 1h)"}},
       {},
       Create});
  tree.commands.push_back({"session list",
                           "List sessions that have not ended",
                           "Yours, or those that you created; all of them as an ADMIN.",
                           {},
                           {{"--user", ValueKind::kText, "ID", "Only this user's"}},
                           {},
                           List});
  tree.commands.push_back({"session describe", "Show one session", "", {session}, {}, {}, Describe});
  tree.commands.push_back({"session revoke", "End a session now", "", {session}, {}, {}, Revoke});
}

}  // namespace keyferry::client::cli
