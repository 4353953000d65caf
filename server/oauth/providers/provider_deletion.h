#ifndef KEYFERRY_SERVER_OAUTH_PROVIDERS_PROVIDER_DELETION_H_
#define KEYFERRY_SERVER_OAUTH_PROVIDERS_PROVIDER_DELETION_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/oauth/connection_refresher.h"
#include "server/oauth/providers/provider_record.h"
#include "server/processes/process_table.h"
#include "storage/store.h"

namespace keyferry::server {

// Who would be affected by the deletion of a provider. Errors are the store's.
absl::StatusOr<v1::DeleteOauthProviderResponse> WhoIsAffected(const storage::StoreView& view, const std::string& org,
                                                              const std::string& provider, ProcessTable* processes,
                                                              absl::Time now);

// Removes what belongs to a provider that is marked as being deleted, and the provider itself last: connections with
// their tokens and leases, whose tokens are handed to revocation in the same commit, and attempts. Each commit is of
// bounded size. Once the provider was marked no connection to it can be added (connection_records.h). May be called
// again after any failure. Calls `changed` for each connection that is gone.
//
// OK also if there is no such provider. Errors are the store's, and FAILED_PRECONDITION if it is not marked.
absl::Status FinishDeletion(storage::Store* store, const std::string& org, const std::string& provider, absl::Time now,
                            const std::function<void(const ConnectionKey&)>& changed);

// Finishes the deletions that an end of the process cut off, in every organization. To be called once, at the start.
absl::Status FinishDeletions(storage::Store* store, absl::Time now);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROVIDERS_PROVIDER_DELETION_H_
