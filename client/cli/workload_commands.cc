#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/context.h"
#include "client/cli/mcp_server_name.h"
#include "keyferry/v1/directory.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

using Stub = v1::DirectoryService::Stub;

// How often a change is made anew because of others.
constexpr int kMaxAttempts = 10;

Outcome McpServerNames(Context& context, const std::vector<std::string>& texts, std::vector<std::string>* names) {
  for (const std::string& text : texts) {
    std::string name;
    KEYFERRY_RETURN_IF_FAILED(McpServerName(context, text, /*team=*/"", &name));
    names->push_back(name);
  }
  return std::nullopt;
}

Outcome Create(Context& context, const Arguments& arguments) {
  v1::CreateWorkloadRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_parent()));
  request.set_workload_id(arguments.Text("ID"));
  request.mutable_workload()->set_display_name(arguments.Text("--display-name"));
  std::vector<std::string> names;
  KEYFERRY_RETURN_IF_FAILED(McpServerNames(context, arguments.Texts("--mcp-server"), &names));
  for (const std::string& name : names) request.mutable_workload()->add_mcp_servers(name);
  request.mutable_workload()->set_can_use_sessions(arguments.Has("--can-use-sessions"));
  v1::Workload workload;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::CreateWorkload, request, &workload));
  context.printer().Message(workload);
  return std::nullopt;
}

Outcome ListAll(Context& context, std::vector<v1::Workload>* workloads) {
  v1::ListWorkloadsRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_parent()));
  return context.List(&Stub::ListWorkloads, request, &v1::ListWorkloadsResponse::workloads, workloads);
}

Outcome List(Context& context, const Arguments&) {
  std::vector<v1::Workload> workloads;
  KEYFERRY_RETURN_IF_FAILED(ListAll(context, &workloads));
  context.PrintList(workloads, {{"ID", "name", true},
                                {"DISPLAY-NAME", "display_name"},
                                {"CREATED", "create_time"},
                                {"SESSIONS", "can_use_sessions"},
                                {"MCP-SERVERS", "mcp_servers"}});
  return std::nullopt;
}

// Changes the grants as they stand at this moment; ABORTED if somebody else changed the workload meanwhile.
Outcome TryChangeGrants(Context& context, const std::string& name, const std::vector<std::string>& servers, bool grant,
                        v1::Workload* workload) {
  std::vector<v1::Workload> workloads;
  KEYFERRY_RETURN_IF_FAILED(ListAll(context, &workloads));
  const auto found = std::find_if(workloads.begin(), workloads.end(),
                                  [&](const v1::Workload& workload) { return workload.name() == name; });
  if (found == workloads.end()) {
    return Failure{ExitCode::kOther, absl::StrCat("not found: ", name, "; see `keyferry workload list`")};
  }
  std::vector<std::string> granted(found->mcp_servers().begin(), found->mcp_servers().end());
  for (const std::string& server : servers) {
    granted.erase(std::remove(granted.begin(), granted.end(), server), granted.end());
    if (grant) granted.push_back(server);
  }
  v1::UpdateWorkloadRequest request;
  request.mutable_workload()->set_name(name);
  request.mutable_workload()->set_etag(found->etag());
  for (const std::string& server : granted) request.mutable_workload()->add_mcp_servers(server);
  request.mutable_update_mask()->add_paths("mcp_servers");
  return context.Call(Idempotent::kYes, &Stub::UpdateWorkload, request, workload);
}

// Adds or takes away MCP servers that a workload may resolve. Two who do so at once both get what they asked for.
Outcome ChangeGrants(Context& context, const Arguments& arguments, bool grant) {
  std::string name;
  KEYFERRY_RETURN_IF_FAILED(context.ResourceName("workloads", arguments.Text("ID"), &name));
  std::vector<std::string> servers;
  KEYFERRY_RETURN_IF_FAILED(McpServerNames(context, arguments.Texts("MCP_SERVER"), &servers));
  v1::Workload workload;
  Outcome outcome;
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    outcome = TryChangeGrants(context, name, servers, grant, &workload);
    if (!outcome.has_value() || outcome->code != absl::StatusCode::kAborted) break;
  }
  KEYFERRY_RETURN_IF_FAILED(outcome);
  context.printer().Message(workload);
  return std::nullopt;
}

Outcome Update(Context& context, const Arguments& arguments) {
  v1::UpdateWorkloadRequest request;
  KEYFERRY_RETURN_IF_FAILED(
      context.ResourceName("workloads", arguments.Text("ID"), request.mutable_workload()->mutable_name()));
  if (arguments.Has("--display-name")) {
    request.mutable_workload()->set_display_name(arguments.Text("--display-name"));
    request.mutable_update_mask()->add_paths("display_name");
  }
  if (arguments.Has("--can-use-sessions") || arguments.Has("--cannot-use-sessions")) {
    request.mutable_workload()->set_can_use_sessions(arguments.Has("--can-use-sessions"));
    request.mutable_update_mask()->add_paths("can_use_sessions");
  }
  if (request.update_mask().paths().empty()) {
    return UsageFailure(
        "nothing to change: keyferry workload update; give --display-name, --can-use-sessions or "
        "--cannot-use-sessions");
  }
  v1::Workload workload;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kYes, &Stub::UpdateWorkload, request, &workload));
  context.printer().Message(workload);
  return std::nullopt;
}

Outcome Delete(Context& context, const Arguments& arguments) {
  v1::DeleteWorkloadRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.ResourceName("workloads", arguments.Text("ID"), request.mutable_name()));
  KEYFERRY_RETURN_IF_FAILED(
      context.Confirm(absl::StrCat("Delete ", request.name(), " with its tokens?"), arguments.Has("--yes")));
  google::protobuf::Empty empty;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::DeleteWorkload, request, &empty));
  context.printer().Done("deleted", request.name(), absl::StrCat("Deleted ", request.name()));
  return std::nullopt;
}

}  // namespace

void AddWorkloadCommands(CommandTree& tree) {
  const Positional id = {"ID", "The workload's id"};
  const Positional servers = {"MCP_SERVER", "ID, TEAM/ID or a full resource name", {}, /*repeated=*/true};
  Option server = {"--mcp-server", ValueKind::kText, "MCP_SERVER", "MCP server that it may resolve; may be repeated"};
  server.repeated = true;
  const Option display_name = {"--display-name", ValueKind::kText, "TEXT", "A name for people"};
  const Option may_use_sessions = {"--can-use-sessions", ValueKind::kFlag, "",
                                   "Let it act for users whose sessions it is given"};
  tree.groups.push_back({"workload", "Manage the identities of injectors and what they may resolve"});
  tree.commands.push_back(
      {"workload create", "Add a workload", "", {id}, {server, may_use_sessions, display_name}, {}, Create});
  tree.commands.push_back({"workload update",
                           "Change a workload's name for people, or whether it may use sessions",
                           "",
                           {id},
                           {may_use_sessions,
                            {"--cannot-use-sessions", ValueKind::kFlag, "", "Let it act for no user any more, at once"},
                            display_name},
                           {{"--can-use-sessions", "--cannot-use-sessions"}},
                           Update});
  tree.commands.push_back(
      {"workload grant",
       "Let a workload resolve more MCP servers",
       "",
       {id, servers},
       {},
       {},
       [](Context& context, const Arguments& arguments) { return ChangeGrants(context, arguments, /*grant=*/true); }});
  tree.commands.push_back(
      {"workload revoke",
       "Let a workload resolve fewer MCP servers",
       "",
       {id, servers},
       {},
       {},
       [](Context& context, const Arguments& arguments) { return ChangeGrants(context, arguments, /*grant=*/false); }});
  tree.commands.push_back({"workload list", "List workloads and what they may resolve", "", {}, {}, {}, List});
  tree.commands.push_back(
      {"workload delete", "Delete a workload with its tokens", "", {id}, {YesOption()}, {}, Delete});
}

}  // namespace keyferry::client::cli
