#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/context.h"
#include "client/cli/mcp_server_name.h"
#include "client/cli/workload_grants.h"
#include "keyferry/v1/directory.grpc.pb.h"
#include "keyferry/v1/mcp_servers.grpc.pb.h"

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

// A grant may come before the MCP server; one of a mistyped name waits forever.
void NoteAbsent(Context& context, const std::vector<std::string>& servers) {
  for (const std::string& name : servers) {
    v1::GetMcpServerRequest request;
    request.set_name(name);
    v1::McpServer ignored;
    const Outcome outcome =
        context.Call(Idempotent::kYes, &v1::McpServerService::Stub::GetMcpServer, request, &ignored);
    if (!outcome.has_value() || outcome->code != absl::StatusCode::kNotFound) continue;
    *context.streams().error << "keyferry: note: there is no MCP server " << PrintableText(name)
                             << " yet; the grant counts once there is (see `keyferry mcp-server list`)\n";
  }
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
  NoteAbsent(context, names);
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

Outcome FindWorkload(Context& context, const std::string& name, v1::Workload* found) {
  std::vector<v1::Workload> workloads;
  KEYFERRY_RETURN_IF_FAILED(ListAll(context, &workloads));
  for (v1::Workload& workload : workloads) {
    if (workload.name() != name) continue;
    found->Swap(&workload);
    return std::nullopt;
  }
  return Failure{ExitCode::kOther, absl::StrCat("not found: ", name, "; see `keyferry workload list`")};
}

// Makes the change to the workload as it stands at this moment; ABORTED if somebody else changed it meanwhile.
Outcome TryChangeGrants(Context& context, const std::string& name, const WorkloadGrants& grants, bool grant, bool first,
                        v1::Workload* workload) {
  v1::Workload found;
  KEYFERRY_RETURN_IF_FAILED(FindWorkload(context, name, &found));
  // Later on somebody else, or a try whose answer was lost, may have taken it away.
  if (!grant && first) KEYFERRY_RETURN_IF_FAILED(CheckGranted(grants, found));
  v1::UpdateWorkloadRequest request;
  request.mutable_workload()->set_name(name);
  request.mutable_workload()->set_etag(found.etag());
  ApplyGrants(grants, grant, found, &request);
  return context.Call(Idempotent::kYes, &Stub::UpdateWorkload, request, workload);
}

// Adds or takes away what a workload may do and who may call as it. Two who do so at once both get what they asked for.
Outcome ChangeGrants(Context& context, const Arguments& arguments, bool grant) {
  std::string name;
  KEYFERRY_RETURN_IF_FAILED(context.ResourceName("workloads", arguments.Text("ID"), &name));
  WorkloadGrants grants;
  KEYFERRY_RETURN_IF_FAILED(McpServerNames(context, arguments.Texts("MCP_SERVER"), &grants.mcp_servers));
  KEYFERRY_RETURN_IF_FAILED(ReadIdentity(arguments, &grants.identity));
  grants.sessions = arguments.Has("--can-use-sessions");
  if (grants.mcp_servers.empty() && !grants.sessions && !grants.identity.has_value()) {
    return UsageFailure(absl::StrCat("nothing to change: keyferry workload ", grant ? "grant" : "revoke",
                                     "; name MCP servers, an identity, or --can-use-sessions"));
  }
  v1::Workload workload;
  Outcome outcome;
  for (int attempt = 0; attempt < kMaxAttempts; ++attempt) {
    outcome = TryChangeGrants(context, name, grants, grant, /*first=*/attempt == 0, &workload);
    if (!outcome.has_value() || outcome->code != absl::StatusCode::kAborted) break;
  }
  KEYFERRY_RETURN_IF_FAILED(outcome);
  context.printer().Message(workload);
  if (grant) NoteAbsent(context, grants.mcp_servers);
  return std::nullopt;
}

Outcome Describe(Context& context, const Arguments& arguments) {
  std::string name;
  KEYFERRY_RETURN_IF_FAILED(context.ResourceName("workloads", arguments.Text("ID"), &name));
  v1::Workload workload;
  KEYFERRY_RETURN_IF_FAILED(FindWorkload(context, name, &workload));
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
  const Positional servers = {"MCP_SERVER",
                              "ID, TEAM/ID or a full resource name",
                              {},
                              /*repeated=*/true,
                              /*optional=*/true};
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
  std::vector<Option> grants = IdentityOptions();
  grants.push_back({"--can-use-sessions", ValueKind::kFlag, "", "That it acts for users whose sessions it is given"});
  tree.commands.push_back(
      {"workload grant",
       "Let a workload resolve more MCP servers, use sessions, or be called as by an identity",
       "An identity is what the platform attests: the pods of a service account of Kubernetes, by an issuer of\n"
       "keyferryd's configuration, or a SPIFFE ID. Who has it calls as the workload without a token of Keyferry's.\n\n"
       "  keyferry workload grant runner github --issuer cluster --namespace tools --service-account mcp\n"
       "  keyferry workload grant runner --spiffe-id spiffe://prod.example.com/tools/mcp",
       {id, servers},
       grants,
       IdentityExclusions(),
       [](Context& context, const Arguments& arguments) { return ChangeGrants(context, arguments, /*grant=*/true); }});
  tree.commands.push_back(
      {"workload revoke",
       "Take away what `workload grant` granted, at once",
       "An identity is taken away by exactly the options that it was granted with; see `workload describe`. Where one\n"
       "of what is named is not granted, nothing is taken away and the exit code is 1.",
       {id, servers},
       grants,
       IdentityExclusions(),
       [](Context& context, const Arguments& arguments) { return ChangeGrants(context, arguments, /*grant=*/false); }});
  tree.commands.push_back(
      {"workload describe", "Show what a workload may do and who may call as it", "", {id}, {}, {}, Describe});
  tree.commands.push_back({"workload list", "List workloads and what they may resolve", "", {}, {}, {}, List});
  tree.commands.push_back(
      {"workload delete", "Delete a workload with its tokens", "", {id}, {YesOption()}, {}, Delete});
}

}  // namespace keyferry::client::cli
