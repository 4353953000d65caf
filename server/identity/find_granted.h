#ifndef KEYFERRY_SERVER_IDENTITY_FIND_GRANTED_H_
#define KEYFERRY_SERVER_IDENTITY_FIND_GRANTED_H_

#include <optional>

#include "absl/status/statusor.h"
#include "server/identity/caller.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

// Puts what the workload may do into its caller.
void FillWorkload(const storage::records::WorkloadRecord& workload, Caller* caller);

// The workload that the identity may call as, with its org, tier and identity_id, by the grant that counts first;
// nullopt if there is none. What holds is what the workload's own record says: an index entry that outlived it opens
// nothing.
absl::StatusOr<std::optional<Caller>> FindGranted(const storage::StoreView& view, const ExternalIdentity& identity);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_FIND_GRANTED_H_
