#ifndef KEYFERRY_SERVER_CREDENTIALS_RECORD_CHANGES_H_
#define KEYFERRY_SERVER_CREDENTIALS_RECORD_CHANGES_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "keyferry/v1/credentials.pb.h"
#include "server/names.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

// What the methods that change credentials, one or many, have in common. Each adds to a mutation that the caller
// commits.

inline constexpr size_t kMaxDescriptionBytes = 1024;

// How long a replaced version is kept: 24 hours for null. INVALID_ARGUMENT on `field` unless it is 0 to 30 days.
absl::StatusOr<absl::Duration> GraceFrom(const google::protobuf::Duration* grace, absl::string_view field);
// What a rotation makes of `rotate_by`: none if it stays, 0 if there is to be none. INVALID_ARGUMENT naming a field
// below `path`, which is "" or ends in a dot, if it is not a time, or is both set and removed.
absl::StatusOr<std::optional<int64_t>> NextRotateBy(const v1::RotateCredentialRequest& request, absl::string_view path);

// What a new record is made of.
struct NewCredential {
  std::string description;
  // Nanoseconds, 0 for none.
  int64_t rotate_by = 0;
  // Resource name of the principal.
  std::string creator;
};

// The first version of a credential.
storage::records::CredentialRecord MakeCredentialRecord(const ChildName& name, const NewCredential& what,
                                                        absl::Time now);

// Puts a record that must not exist yet, and its first value.
void AddCredential(const ChildName& name, const storage::records::CredentialRecord& record, absl::string_view value,
                   storage::Mutation* mutation);

// Requires that the team or user which is to hold a credential is still there at the commit: one that is being deleted
// must not leave a credential behind. NOT_FOUND if it is not there in `view`.
absl::Status RequireParent(const storage::StoreView& view, const ParentName& parent, storage::Mutation* mutation);

// Puts `value` as the next version, and keeps or destroys the one before. Changes `record`, which the caller puts.
absl::Status AddVersion(const storage::StoreView& view, const ChildName& name, absl::string_view value,
                        absl::Duration grace, absl::Time now, storage::records::CredentialRecord* record,
                        storage::Mutation* mutation);

// Puts only the value of a version.
void PutValue(const ChildName& name, absl::string_view value, int64_t version, storage::Mutation* mutation);

// Moves the current value into kPreviousValue, to be destroyed at `destroy_time` (nanoseconds).
absl::Status KeepAsPrevious(const storage::StoreView& view, const ChildName& name, int64_t destroy_time,
                            storage::Mutation* mutation);

// Counts the change, and puts the record if it still has the revision `expected`.
void PutChanged(const ChildName& name, const std::string& updater, absl::Time now, storage::Revision expected,
                storage::records::CredentialRecord* record, storage::Mutation* mutation);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_CREDENTIALS_RECORD_CHANGES_H_
