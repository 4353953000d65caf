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
// twice, or one of an issuer or trust domain whose identities may not enter the org.
absl::StatusOr<IdentityRecords> ParseIdentities(const DirectoryContext& context,
                                                const google::protobuf::RepeatedPtrField<v1::WorkloadIdentity>& asked,
                                                const std::string& org, const std::string& field);

v1::WorkloadIdentity ShownIdentity(const storage::records::WorkloadIdentityRecord& record);

// Adds to `mutation` what leads from each identity to the workload of that resource name. ALREADY_EXISTS, reason
// IDENTITY_TAKEN, if another workload has one of them; a race is ABORTED by the commit.
absl::Status StageIdentities(const storage::StoreView& view, const std::string& workload, const IdentityRecords& before,
                             const IdentityRecords& after, storage::Mutation* mutation);

// Adds to `mutation` that none of the workload's identities leads to it any more.
void DeleteIdentities(const storage::records::WorkloadRecord& workload, storage::Mutation* mutation);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_DIRECTORY_WORKLOAD_IDENTITIES_H_
