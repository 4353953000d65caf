#ifndef KEYFERRY_SERVER_PROCESSES_PROCESS_RULES_H_
#define KEYFERRY_SERVER_PROCESSES_PROCESS_RULES_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/empty.pb.h"
#include "keyferry/v1/processes.pb.h"
#include "server/identity/caller.h"
#include "server/names.h"
#include "server/pagination.h"
#include "server/processes/process_table.h"
#include "storage/store.h"

namespace keyferry::server {

using Clock = std::function<absl::Time()>;

// The rules of ProcessService (keyferry/v1/processes.proto says what each method answers). Thread-safe; only reads the
// store.
//
// A process is seen by those who see its MCP server. Of what it holds they see the credentials that they may see, and
// the principal and the user only if they may see these.
class ProcessRules {
 public:
  // All pointers must outlive this.
  ProcessRules(storage::Store* store, Clock clock, const PageTokens* pages, ProcessTable* processes)
      : store_(store), clock_(std::move(clock)), pages_(pages), processes_(processes) {}

  absl::StatusOr<v1::ListProcessesResponse> ListProcesses(const Caller& caller,
                                                          const v1::ListProcessesRequest& request) const;
  absl::StatusOr<v1::CredentialRollout> GetCredentialRollout(const Caller& caller,
                                                             const v1::GetCredentialRolloutRequest& request) const;
  // Puts what is confirmed into the record of the caller's call, from which the table is filled again after a restart.
  absl::StatusOr<v1::ConfirmEnvironmentResponse> ConfirmEnvironment(const Caller& caller,
                                                                    const v1::ConfirmEnvironmentRequest& request) const;
  // Where a process ended by it, the record of the caller's call tells of it, for the next start.
  absl::StatusOr<google::protobuf::Empty> DeleteProcess(const Caller& caller,
                                                        const v1::DeleteProcessRequest& request) const;

 private:
  // What a rollout is about.
  struct Held {
    ChildName name;
    // A connection, whose id is that of its provider.
    bool connection = false;
    int64_t version = 0;
    int64_t create_time = 0;
  };
  absl::StatusOr<Held> FindHeld(const storage::StoreView& view, const Caller& caller, const std::string& name) const;
  // Names of the MCP servers that the caller may see and one of whose bindings it can answer, sorted.
  absl::StatusOr<std::vector<std::string>> McpServersFor(const storage::StoreView& view, const Caller& caller,
                                                         const Held& held) const;

  storage::Store* const store_;
  const Clock clock_;
  const PageTokens* const pages_;
  ProcessTable* const processes_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_PROCESSES_PROCESS_RULES_H_
