#include "server/identity/person_binding.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "storage/crypto/sha256.h"

namespace keyferry::server {

using storage::records::PersonBindingRecord;

std::string PersonBindingId(absl::string_view issuer_url, absl::string_view subject) {
  const std::string text = absl::StrCat(issuer_url.size(), ":", issuer_url, subject.size(), ":", subject);
  return absl::BytesToHexString(storage::View(storage::Sha256({text})));
}

absl::StatusOr<std::optional<Stored<PersonBindingRecord>>> ReadPersonBinding(const storage::StoreView& view,
                                                                             const std::string& org,
                                                                             absl::string_view parent,
                                                                             absl::string_view issuer_url,
                                                                             absl::string_view subject) {
  return ReadRecord<PersonBindingRecord>(
      view, {storage::Table::kPersonBinding, org, std::string(parent), PersonBindingId(issuer_url, subject)});
}

absl::StatusOr<std::optional<Stored<PersonBindingRecord>>> ReadEndedFloor(const storage::StoreView& view,
                                                                          const std::string& org) {
  return ReadRecord<PersonBindingRecord>(view, {storage::Table::kPersonBinding, org, kEndedFloor, kEndedFloorId});
}

storage::RecordKey PersonClaimsKey(const std::string& org, const std::string& user) {
  return {storage::Table::kPersonClaims, org, "", user};
}

}  // namespace keyferry::server
