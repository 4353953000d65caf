#ifndef KEYFERRY_SERVER_DIRECTORY_WORKLOAD_IDENTITIES_H_
#define KEYFERRY_SERVER_DIRECTORY_WORKLOAD_IDENTITIES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "google/protobuf/repeated_field.h"
#include "keyferry/v1/directory.pb.h"
#include "server/directory/common.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

using IdentityRecords = google::protobuf::RepeatedPtrField<storage::records::WorkloadIdentityRecord>;

// Of one workload.
constexpr int kMaxIdentities = 16;

// What is asked to be granted. INVALID_ARGUMENT on `field` for more than kMaxIdentities, one that is malformed or comes
// twice, or one that is not `before` and that may not enter the org.
absl::StatusOr<IdentityRecords> ParseIdentities(const DirectoryContext& context,
                                                const google::protobuf::RepeatedPtrField<v1::WorkloadIdentity>& asked,
                                                const IdentityRecords& before, const std::string& org,
                                                const std::string& field);

v1::WorkloadIdentity ShownIdentity(const storage::records::WorkloadIdentityRecord& record);

// Adds to `mutation` what leads from each identity to the workload of that resource name. ALREADY_EXISTS, reason
// IDENTITY_TAKEN, if another workload of the org has one of them. If a workload of another org that may be entered has
// it, or any identity of the same service account, the answer is that of ParseIdentities, so that nobody learns of
// another org. To be called, as the commit, with DirectoryContext::changes held.
absl::Status StageIdentities(const DirectoryContext& context, const storage::StoreView& view,
                             const std::string& workload, const IdentityRecords& before, const IdentityRecords& after,
                             const std::string& field, storage::Mutation* mutation);

// Adds to `mutation` that none of the workload's identities leads to it any more.
void DeleteIdentities(const storage::records::WorkloadRecord& workload, storage::Mutation* mutation);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_DIRECTORY_WORKLOAD_IDENTITIES_H_
