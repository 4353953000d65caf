#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/integration/bad_requests.h"

namespace keyferry::testing {

std::vector<MethodEntry> ProcessEntries() {
  return {
      {"ProcessService.ListProcesses", Who::kAdmin, "parent: 'orgs/acme'",
       Join({BadNames("parent", "orgs/acme", {"orgs/acme/teams/eng", "orgs/acme/users/mia"}),
             BadPages(),
             Refused("......NN"),
             {Invalid("mcp_server: malformed", "mcp_server: 'github'", "mcp_server"),
              Invalid("mcp_server: a credential", "mcp_server: 'orgs/acme/credentials/A'", "mcp_server"),
              Invalid("mcp_server: NUL", "mcp_server: 'orgs/acme/mcpServers/a\\000b'", "mcp_server"),
              Invalid("mcp_server: of another org", "mcp_server: 'orgs/rival/mcpServers/vault'", "mcp_server"),
              Fails("mcp_server: absent", "mcp_server: 'orgs/acme/mcpServers/void'", grpc::NOT_FOUND),
              Fails("mcp_server: hidden", "mcp_server: 'orgs/acme/teams/eng/mcpServers/builder'", grpc::NOT_FOUND,
                    Who::kMember)}})},
      {"ProcessService.GetCredentialRollout", Who::kAdmin, "name: 'orgs/acme/credentials/PROBE_KEY'",
       Join({BadNames("name", "orgs/acme/credentials/PROBE_KEY", {"orgs/acme", "orgs/acme/mcpServers/github"}),
             Absent("name", {"orgs/acme/credentials/VOID", "orgs/acme/users/mia/credentials/MIA_KEY",
                             "orgs/rival/credentials/RIVAL_KEY"}),
             Refused("......NN"), Refused("N...NNNN", "name: 'orgs/acme/teams/eng/credentials/TEAM_KEY'")})},
      {"ProcessService.ConfirmEnvironment", Who::kWorkload, "name: '$PROCESS' revision: $REVISION pid: 7",
       Join({BadNames("name", "orgs/acme/processes/a.0123456789abcdef",
                      {"orgs/acme", "orgs/acme/mcpServers/github", "orgs/acme/teams/eng/processes/a"}, Who::kWorkload),
             Absent("name", {"orgs/acme/processes/void", "orgs/void/processes/void", "orgs/rival/processes/void"},
                    Who::kWorkload),
             // It is there for the principal whose watch it is alone, whoever sees it in lists.
             {Fails("another's, as an ADMIN", "", grpc::NOT_FOUND)},
             Refused("NNNNNN.N"),
             {Invalid("revision: none", "revision: 0", "revision", Who::kWorkload),
              Invalid("revision: negative", "revision: -1", "revision", Who::kWorkload),
              Invalid("pid: negative", "pid: -1", "pid", Who::kWorkload),
              Fails("revision: not sent", "revision: 9223372036854775807", grpc::FAILED_PRECONDITION,
                    Who::kWorkload)}})},
      {"ProcessService.DeleteProcess", Who::kWorkload, "name: '$PROCESS'",
       Join({BadNames("name", "orgs/acme/processes/a.0123456789abcdef",
                      {"orgs/acme", "orgs/acme/mcpServers/github", "orgs/acme/teams/eng/processes/a"}),
             Absent("name", {"orgs/acme/processes/void", "orgs/void/processes/void", "orgs/rival/processes/void"},
                    Who::kWorkload),
             Absent("name", {"orgs/void/processes/void", "orgs/rival/processes/void"}), Refused("NNNNNN.N")})},
  };
}

MethodEntry WatchEntry(BadRequests bad) {
  // Of Resolve's refusals these are no end of a watch.
  bad.erase(std::remove_if(bad.begin(), bad.end(),
                           [](const BadRequest& one) { return one.code == grpc::FAILED_PRECONDITION; }),
            bad.end());
  for (BadRequest& request : bad) {
    request.edit = absl::StrCat("resolve { ", request.edit, " }");
    if (!request.field.empty()) request.field = absl::StrCat("resolve.", request.field);
  }
  const auto process = [](const std::string& edit) { return absl::StrCat("resolve { process { ", edit, " } }"); };
  return {
      "ResolutionService.Watch", Who::kAdmin, "resolve { mcp_server: 'orgs/acme/mcpServers/github' }",
      Join({std::move(bad),
            {Invalid("resume_revision: negative", "resume_revision: -1", "resume_revision"),
             Invalid("debounce: negative", "debounce { seconds: -1 }", "debounce"),
             Invalid("debounce: 11 s", "debounce { seconds: 11 }", "debounce"),
             Invalid("confirms: no process", "confirms: true", "confirms"),
             Invalid("debounce: nanos", "debounce { nanos: 1000000000 }", "debounce"),
             Invalid("process: no id", process("host: 'a'"), "resolve.process.process_id"),
             Invalid("process: id", process("process_id: 'A/B'"), "resolve.process.process_id"),
             Invalid("process: host", process("process_id: 'a' host: 'a\\nb'"), "resolve.process.host"),
             Invalid("process: pid", process("process_id: 'a' pid: -1"), "resolve.process.pid"),
             Invalid("process: lease", process("process_id: 'a' lease { seconds: 9 }"), "resolve.process.lease")}})};
}

}  // namespace keyferry::testing
