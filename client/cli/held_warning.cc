#include "client/cli/held_warning.h"

#include <algorithm>
#include <ostream>

#include "absl/strings/str_join.h"
#include "keyferry/v1/processes.grpc.pb.h"

namespace keyferry::client::cli {

void WarnOfHolders(Context& context, const std::string& name) {
  v1::GetCredentialRolloutRequest request;
  request.set_name(name);
  v1::CredentialRollout rollout;
  if (context.Call(Idempotent::kYes, &v1::ProcessService::Stub::GetCredentialRollout, request, &rollout)) return;
  std::ostream& error = *context.streams().error;
  const std::string id = name.substr(name.rfind('/') + 1);
  if (!rollout.mcp_servers().empty()) {
    error << "These MCP servers bind " << id << ": " << absl::StrJoin(rollout.mcp_servers(), ", ") << "\n";
  }
  const int live = rollout.current_count() + rollout.outdated_count();
  if (live == 0) return;
  error << "Processes that run with it now: " << live << "\n";
  constexpr int kShown = 20;
  for (int i = 0; i < std::min(kShown, rollout.processes_size()); ++i) {
    const v1::Process& process = rollout.processes(i).process();
    const std::string& place = process.info().pod().empty() ? process.info().host() : process.info().pod();
    error << "  " << process.mcp_server() << " on " << (place.empty() ? "an unknown host" : PrintableText(place))
          << ", pid " << process.info().pid() << "\n";
  }
  if (live > std::min(kShown, rollout.processes_size())) error << "  and others\n";
}

}  // namespace keyferry::client::cli
