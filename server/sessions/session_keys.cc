#include "server/sessions/session_keys.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "server/status_macros.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Ed25519Signer;
using storage::SecretBytes;
using storage::Table;
using KeyRecord = storage::Wiped<records::SessionKeyRecord>;

storage::RecordKey KeyOf(const std::string& org, int64_t key_id) {
  return {Table::kSessionKey, org, "", absl::StrCat(key_id)};
}

// Visits every key of the org; each is wiped after its visit.
template <typename Visit>
absl::Status ForEachKey(const storage::StoreView& view, const std::string& org, Visit visit) {
  absl::Status decoded;
  RETURN_IF_ERROR(view.Scan(Table::kSessionKey, org, "", [&](storage::Record stored) {
    KeyRecord record;
    decoded = storage::ParseSecretInto(stored.payload, *record);
    if (decoded.ok()) visit(record);
    return decoded.ok();
  }));
  return decoded;
}

absl::StatusOr<SessionSigner> NewSigner(const std::string& org, int64_t now_nanos, storage::Mutation* mutation) {
  SecretBytes private_key(Ed25519Signer::kPrivateKeySize);
  storage::RandomBytes(private_key.ExposeMutable());
  SessionSigner made;
  made.key_id = 1;
  ASSIGN_OR_RETURN(made.signer, Ed25519Signer::Create(private_key));
  KeyRecord record;
  record->set_id(made.key_id);
  record->set_private_key(private_key.Expose().data(), private_key.size());
  record->set_public_key(made.signer->public_key());
  record->set_create_time(now_nanos);
  mutation->Put(KeyOf(org, made.key_id), storage::SerializeSecret(*record), /*version=*/1, /*expected=*/0);
  return made;
}

}  // namespace

absl::StatusOr<SessionSigner> SignerFor(const storage::StoreView& view, const std::string& org, int64_t now_nanos,
                                        storage::Mutation* mutation) {
  KeyRecord newest;
  RETURN_IF_ERROR(ForEachKey(view, org, [&](KeyRecord& record) {
    if (record->id() > newest->id()) newest = std::move(record);
  }));
  if (newest->id() == 0) return NewSigner(org, now_nanos, mutation);
  SessionSigner found;
  found.key_id = newest->id();
  auto signer = Ed25519Signer::Create(SecretBytes::TakeFrom(*newest->mutable_private_key()));
  if (!signer.ok()) return absl::DataLossError("a session key's private key has the wrong size");
  found.signer = *std::move(signer);
  if (found.signer->public_key() != newest->public_key()) {
    return absl::DataLossError("a session key's private and public keys do not belong together");
  }
  return found;
}

absl::StatusOr<std::vector<SessionPublicKey>> ReadSessionKeys(const storage::StoreView& view, const std::string& org) {
  std::vector<SessionPublicKey> keys;
  RETURN_IF_ERROR(ForEachKey(view, org, [&](const KeyRecord& record) {
    keys.push_back({record->id(), record->public_key(), record->create_time()});
  }));
  std::sort(keys.begin(), keys.end(), [](const auto& a, const auto& b) { return a.key_id > b.key_id; });
  return keys;
}

absl::StatusOr<std::string> ReadSessionKey(const storage::StoreView& view, const std::string& org, int64_t key_id) {
  ASSIGN_OR_RETURN(const std::optional<storage::Record> stored, view.Get(KeyOf(org, key_id)));
  if (!stored.has_value()) return std::string();
  KeyRecord record;
  RETURN_IF_ERROR(storage::ParseSecretInto(stored->payload, *record));
  return std::string(record->public_key());
}

}  // namespace keyferry::server
