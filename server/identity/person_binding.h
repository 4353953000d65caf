#ifndef KEYFERRY_SERVER_IDENTITY_PERSON_BINDING_H_
#define KEYFERRY_SERVER_IDENTITY_PERSON_BINDING_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/records.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

// The parents in Table::kPersonBinding.
inline constexpr char kBoundPeople[] = "bound";
inline constexpr char kEndedPeople[] = "ended";
// One record for the organization, of this id.
inline constexpr char kEndedFloor[] = "floor";
inline constexpr char kEndedFloorId[] = "org";

// The id there of an issuer's subject: hex of SHA-256 over both, each after its length.
std::string PersonBindingId(absl::string_view issuer_url, absl::string_view subject);

// What one of the parents says of the subject in the organization, or nullopt. Errors are the store's own.
absl::StatusOr<std::optional<Stored<storage::records::PersonBindingRecord>>> ReadPersonBinding(
    const storage::StoreView& view, const std::string& org, absl::string_view parent, absl::string_view issuer_url,
    absl::string_view subject);

// What stands for those below kEndedPeople that were dropped before their time, or nullopt.
absl::StatusOr<std::optional<Stored<storage::records::PersonBindingRecord>>> ReadEndedFloor(
    const storage::StoreView& view, const std::string& org);

// Where it is kept how new the claims are that the directory has of a user. No caller is computed from it.
storage::RecordKey PersonClaimsKey(const std::string& org, const std::string& user);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_PERSON_BINDING_H_
