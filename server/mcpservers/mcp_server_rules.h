#ifndef KEYFERRY_SERVER_MCPSERVERS_MCP_SERVER_RULES_H_
#define KEYFERRY_SERVER_MCPSERVERS_MCP_SERVER_RULES_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/empty.pb.h"
#include "keyferry/v1/mcp_servers.pb.h"
#include "server/credentials/parent_counts.h"
#include "server/identity/caller.h"
#include "server/names.h"
#include "server/pagination.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"
#include "storage/store.h"

namespace keyferry::server {

using Clock = std::function<absl::Time()>;

// The rules of McpServerService (keyferry/v1/mcp_servers.proto says what each method answers). Thread-safe.
//
// Every method asks Authorize before it says whether anything exists. Static values are in the request of Apply, which
// is the RPC layer's to wipe, in sealed records, and for moments in messages that wipe themselves; in no answer.
class McpServerRules {
 public:
  // All pointers must outlive this.
  McpServerRules(storage::Store* store, Clock clock, const PageTokens* pages);

  // These wait for a synced commit.
  absl::StatusOr<v1::ApplyMcpServerResponse> ApplyMcpServer(const Caller& caller,
                                                            const v1::ApplyMcpServerRequest& request);
  absl::StatusOr<google::protobuf::Empty> DeleteMcpServer(const Caller& caller,
                                                          const v1::DeleteMcpServerRequest& request);

  // These only read.
  absl::StatusOr<v1::McpServer> GetMcpServer(const Caller& caller, const v1::GetMcpServerRequest& request) const;
  absl::StatusOr<v1::ListMcpServersResponse> ListMcpServers(const Caller& caller,
                                                            const v1::ListMcpServersRequest& request) const;

 private:
  // One stored MCP server. Wipes itself, since the definition holds static values.
  struct Found {
    storage::Wiped<storage::records::McpServerRecord> record;
    storage::Wiped<v1::McpServer> definition;
    storage::Revision revision = 0;
  };

  // Null if there is none.
  static absl::StatusOr<std::unique_ptr<Found>> Find(const storage::StoreView& view, const ChildName& name);
  absl::StatusOr<v1::ApplyMcpServerResponse> ApplyOnce(const Caller& caller, const ChildName& name,
                                                       const v1::ApplyMcpServerRequest& request);
  absl::Status Commit(const Caller& caller, const ChildName& name, bool created, storage::Mutation mutation);
  absl::Status DeleteOnce(const Caller& caller, const ChildName& name, const std::string& etag);

  storage::Store* const store_;
  const Clock clock_;
  const PageTokens* const pages_;
  ParentCounts counts_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_MCPSERVERS_MCP_SERVER_RULES_H_
