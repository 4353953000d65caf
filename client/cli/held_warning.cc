#include "client/cli/held_warning.h"

#include <algorithm>
#include <optional>
#include <ostream>
#include <set>

#include "absl/strings/str_join.h"
#include "keyferry/v1/processes.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

using Stub = v1::ProcessService::Stub;

// Says which MCP servers bind it and how many processes run with it. None if that cannot be had.
std::optional<v1::CredentialRollout> SayHolders(Context& context, const std::string& name) {
  v1::GetCredentialRolloutRequest request;
  request.set_name(name);
  v1::CredentialRollout rollout;
  // Once: what comes after it has its own tries.
  if (context.Call(Idempotent::kNo, &Stub::GetCredentialRollout, request, &rollout)) return std::nullopt;
  std::ostream& error = *context.streams().error;
  const std::string id = name.substr(name.rfind('/') + 1);
  if (!rollout.mcp_servers().empty()) {
    error << "These MCP servers bind " << id << ": " << absl::StrJoin(rollout.mcp_servers(), ", ") << "\n";
  }
  const int live = rollout.current_count() + rollout.outdated_count();
  if (live > 0) error << "Processes that run with it now: " << live << "\n";
  return rollout;
}

}  // namespace

void WarnOfHolders(Context& context, const std::string& name) {
  const std::optional<v1::CredentialRollout> rollout = SayHolders(context, name);
  if (!rollout.has_value()) return;
  std::ostream& error = *context.streams().error;
  const int live = rollout->current_count() + rollout->outdated_count();
  constexpr int kShown = 20;
  const int shown = std::min(kShown, rollout->processes_size());
  for (int i = 0; i < shown; ++i) {
    const v1::Process& process = rollout->processes(i).process();
    const std::string& place = process.info().pod().empty() ? process.info().host() : process.info().pod();
    error << "  " << process.mcp_server() << " on " << (place.empty() ? "an unknown host" : PrintableText(place))
          << ", pid " << process.info().pid() << "\n";
  }
  if (live > shown) error << "  and others\n";
}

void NoteHolders(Context& context, const std::string& name) { SayHolders(context, name); }

void NoteHoldersOfAny(Context& context, const std::vector<std::string>& names) {
  v1::ListProcessesRequest request;
  if (context.Org(request.mutable_parent())) return;
  std::vector<v1::Process> processes;
  if (context.List(&Stub::ListProcesses, request, &v1::ListProcessesResponse::processes, &processes)) return;
  const std::set<std::string> wanted(names.begin(), names.end());
  int live = 0;
  std::set<std::string> servers;
  for (const v1::Process& process : processes) {
    const auto& held = process.credentials();
    const bool holds = std::any_of(held.begin(), held.end(),
                                   [&](const v1::HeldCredential& one) { return wanted.count(one.credential()) > 0; });
    if (!holds) continue;
    ++live;
    servers.insert(process.mcp_server());
  }
  if (live == 0) return;
  *context.streams().error << "Processes that run with one of these credentials now: " << live << ", of "
                           << absl::StrJoin(servers, ", ") << "\n";
}

}  // namespace keyferry::client::cli
