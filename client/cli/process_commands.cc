#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/cli/commands.h"
#include "client/cli/context.h"
#include "client/cli/credential_name.h"
#include "client/cli/mcp_server_name.h"
#include "keyferry/v1/processes.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

using Stub = v1::ProcessService::Stub;

constexpr absl::Duration kPollInterval = absl::Seconds(1);

void PrintTable(const Context& context, const v1::CredentialRollout& rollout) {
  const std::vector<v1::RolloutProcess> processes(rollout.processes().begin(), rollout.processes().end());
  context.PrintList(processes, {{"MCP-SERVER", "process.mcp_server"},
                                {"HOST", "process.info.host"},
                                {"POD", "process.info.pod"},
                                {"PID", "process.info.pid"},
                                {"PRINCIPAL", "process.principal"},
                                {"VERSION", "held_version"},
                                {"SINCE", "process.update_time"},
                                {"STATE", "state"},
                                {"WATCHES", "process.watching"}});
  const int all = rollout.current_count() + rollout.outdated_count();
  std::string summary = absl::StrCat(rollout.current_count(), " of ", all, " on version ", rollout.current_version());
  const int hidden = all - rollout.processes_size();
  if (hidden > 0) absl::StrAppend(&summary, "; ", hidden, " not shown");
  context.printer().Raw(absl::StrCat(summary, ".\n"));
}

Outcome Rollout(Context& context, const Arguments& arguments) {
  v1::GetCredentialRolloutRequest request;
  KEYFERRY_RETURN_IF_FAILED(CredentialName(context, arguments, request.mutable_name()));
  const bool watch = arguments.Has("--watch");
  std::string printed;
  while (true) {
    v1::CredentialRollout rollout;
    KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kYes, &Stub::GetCredentialRollout, request, &rollout));
    // What is printed again and again is the state, not the time.
    v1::CredentialRollout state = rollout;
    for (v1::RolloutProcess& process : *state.mutable_processes()) {
      process.mutable_process()->clear_lease_expire_time();
    }
    const std::string now = state.SerializeAsString();
    if (now != printed) {
      if (context.printer().format() == OutputFormat::kTable) {
        PrintTable(context, rollout);
      } else if (watch) {
        context.printer().Line(rollout);
      } else {
        context.printer().Message(rollout);
      }
      context.streams().output->flush();
      printed = now;
    }
    if (!watch || rollout.outdated_count() == 0) return std::nullopt;
    absl::SleepFor(kPollInterval);
  }
}

Outcome List(Context& context, const Arguments& arguments) {
  v1::ListProcessesRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_parent()));
  if (arguments.Has("--mcp-server")) {
    KEYFERRY_RETURN_IF_FAILED(
        McpServerName(context, arguments.Text("--mcp-server"), /*team=*/"", request.mutable_mcp_server()));
  }
  std::vector<v1::Process> processes;
  KEYFERRY_RETURN_IF_FAILED(
      context.List(&Stub::ListProcesses, request, &v1::ListProcessesResponse::processes, &processes));
  context.PrintList(processes, {{"PROCESS", "name", true},
                                {"MCP-SERVER", "mcp_server"},
                                {"HOST", "info.host"},
                                {"POD", "info.pod"},
                                {"PID", "info.pid"},
                                {"PRINCIPAL", "principal"},
                                {"STARTED", "start_time"},
                                {"SINCE", "update_time"},
                                {"WATCHES", "watching"}});
  return std::nullopt;
}

}  // namespace

void AddProcessCommands(CommandTree& tree) {
  const Positional name = {"NAME", "The environment variable's name, or a full resource name"};
  const Option team = {"--team", ValueKind::kText, "ID", "The team's credential (default: the organization's)"};
  const Option me = {"--me", ValueKind::kFlag, "", "Your own credential"};
  tree.commands.push_back(
      {"credential rollout",
       "Show which processes hold which version",
       "Processes that watch move over by themselves; others when they are started again. With --watch it goes on "
       "until\n"
       "none is left on an older version; with -o json each state is then one line.",
       {name},
       {team, me, {"--watch", ValueKind::kFlag, "", "Follow until every process is on the newest version"}},
       {{"--team", "--me"}},
       Rollout});
  tree.groups.push_back({"process", "See the processes that run with credentials"});
  tree.commands.push_back(
      {"process list",
       "List live processes",
       "",
       {},
       {{"--mcp-server", ValueKind::kText, "MCP_SERVER", "Only of this one: ID, TEAM/ID or a full resource name"}},
       {},
       List});
}

}  // namespace keyferry::client::cli
