#ifndef KEYFERRY_SERVER_IDENTITY_FIND_GRANTED_H_
#define KEYFERRY_SERVER_IDENTITY_FIND_GRANTED_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "server/identity/caller.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

// Puts what the workload may do into its caller.
void FillWorkload(const storage::records::WorkloadRecord& workload, Caller* caller);

// The workload that the identity may call as, with its org, tier and identity_id; nullopt if there is none. Grants of
// orgs that `may_enter` does not let in are not there. Of the others the widest says whose the identity is, so that
// nobody takes over another org's pods with a narrower grant, and of that org's grants the narrowest counts. What holds
// is what the workload's own record says: an index entry that outlived it opens nothing.
absl::StatusOr<std::optional<Caller>> FindGranted(const storage::StoreView& view, const ExternalIdentity& identity,
                                                  const std::function<bool(const std::string& org)>& may_enter);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_FIND_GRANTED_H_
