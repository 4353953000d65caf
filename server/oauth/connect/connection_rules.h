#ifndef KEYFERRY_SERVER_OAUTH_CONNECT_CONNECTION_RULES_H_
#define KEYFERRY_SERVER_OAUTH_CONNECT_CONNECTION_RULES_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "google/protobuf/empty.pb.h"
#include "keyferry/v1/connections.pb.h"
#include "server/identity/caller.h"
#include "server/names.h"
#include "server/oauth/connect/connect_context.h"
#include "server/oauth/connect/granted.h"
#include "server/oauth/connect/org_turns.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

// The rules of ConnectionService (keyferry/v1/connections.proto says what each method answers). Thread-safe.
//
// Every method asks Authorize before it says whether anything exists. A scope holds at most one connection to each
// provider, so that the organization's limit on providers limits connections too.
class ConnectionRules {
 public:
  // What the context points to must outlive this.
  explicit ConnectionRules(ConnectContext context) : context_(std::move(context)) {}

  // These wait for a synced commit. StartConnection (of a grant without a person) and RefreshConnection also wait for
  // the provider, on the thread that calls, up to 20 seconds; RESOURCE_EXHAUSTED with reason SERVER_BUSY where too many
  // do.
  absl::StatusOr<v1::StartConnectionResponse> StartConnection(const Caller& caller,
                                                              const v1::StartConnectionRequest& request);
  absl::StatusOr<v1::Connection> RefreshConnection(const Caller& caller, const v1::RefreshConnectionRequest& request);
  // The tokens are revoked after the answer.
  absl::StatusOr<google::protobuf::Empty> DeleteConnection(const Caller& caller,
                                                           const v1::DeleteConnectionRequest& request);

  // These only read.
  absl::StatusOr<v1::ConnectionAttempt> GetConnectionAttempt(const Caller& caller,
                                                             const v1::GetConnectionAttemptRequest& request) const;
  absl::StatusOr<v1::Connection> GetConnection(const Caller& caller, const v1::GetConnectionRequest& request) const;
  absl::StatusOr<v1::ListConnectionsResponse> ListConnections(const Caller& caller,
                                                              const v1::ListConnectionsRequest& request) const;

 private:
  using ConnectionRecord = storage::records::ConnectionRecord;

  // A connection of a list under way.
  struct Listed {
    ParentName parent;
    ConnectionRecord record;
  };

  // What is asked for, checked against the provider.
  absl::StatusOr<NewGrant> CheckRequest(const storage::StoreView& view, const Caller& caller, const ParentName& parent,
                                        const v1::StartConnectionRequest& request, const FoundProvider& provider) const;
  absl::StatusOr<v1::StartConnectionResponse> StartWithPerson(const Caller& caller, const NewGrant& grant);
  absl::Status PutStarted(const Caller& caller, const NewGrant& grant,
                          storage::records::ConnectionAttemptRecord* record);
  absl::StatusOr<v1::StartConnectionResponse> StartWithoutPerson(const Caller& caller, const NewGrant& grant,
                                                                 const FoundProvider& provider);
  // Stores what was granted without a person, with `attempt`, which has succeeded.
  absl::Status PutGranted(const Caller& caller, const NewGrant& grant, const FoundProvider& provider,
                          const TokenGrant& tokens, storage::records::ConnectionAttemptRecord* attempt);
  // Sees to it that what could not be stored is revoked, as far as the store lets it.
  void RevokeUnstored(const NewGrant& grant, const FoundProvider& provider, const TokenGrant& tokens);
  absl::Status DeleteOnce(const Caller& caller, const ChildName& name, const std::string& etag);
  absl::StatusOr<std::vector<Listed>> GatherListed(const storage::StoreView& view, const Caller& caller,
                                                   const ParentName& parent, const v1::ListConnectionsRequest& request,
                                                   const std::string& after, size_t size) const;
  absl::StatusOr<v1::Connection> Read(const Caller& caller, const ChildName& name) const;
  absl::StatusOr<v1::Connection> Show(const Caller& caller, const ParentName& parent, const ConnectionRecord& record,
                                      const storage::StoreView& view) const;

  const ConnectContext context_;
  // Held from counting an organization's attempts to the commit of one more.
  OrgTurns starting_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CONNECT_CONNECTION_RULES_H_
