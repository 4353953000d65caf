#include "server/oauth/connect/attempts.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "keyferry/v1/connections.pb.h"
#include "server/errors.h"
#include "server/oauth/connect/conversion.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "storage/crypto/sha256.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

constexpr size_t kSecretBytes = 32;
constexpr size_t kSecretChars = 43;
constexpr size_t kIdBytes = 16;
constexpr size_t kCodeChars = 8;
// Without I, L, O, U, 0 and 1: no code is read wrong, and few are words.
constexpr absl::string_view kCodeAlphabet = "23456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr size_t kCodeAlphabetSize = kCodeAlphabet.size();

storage::RecordKey AttemptKey(const std::string& org, const records::ConnectionAttemptRecord& record) {
  return {Table::kConnectionAttempt, org, record.parent(), record.id()};
}

storage::RecordKey IndexKey(absl::string_view hash) {
  return {Table::kConnectionAttemptIndex, "", "", absl::BytesToHexString(hash)};
}

absl::Status TooMany(const std::string& resource, absl::string_view what, absl::string_view next_step) {
  v1::ErrorDetail detail;
  detail.set_reason("TOO_MANY");
  detail.set_resource(resource);
  detail.set_next_step(std::string(next_step));
  return MakeError(absl::StatusCode::kResourceExhausted, absl::StrCat(resource, ": ", what), detail);
}

}  // namespace

storage::SecretBytes NewUrlSecret() {
  storage::SecretBytes bytes(kSecretBytes);
  storage::RandomBytes(bytes.ExposeMutable());
  std::string text = absl::WebSafeBase64Escape(bytes.Expose());
  return storage::SecretBytes::TakeFrom(text);
}

bool IsUrlSecret(absl::string_view text) {
  return text.size() == kSecretChars && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_';
         });
}

std::string ChallengeOf(absl::string_view verifier) { return absl::WebSafeBase64Escape(HashOfSecret(verifier)); }

std::string HashOfSecret(absl::string_view text) { return std::string(storage::View(storage::Sha256({text}))); }

std::string NewConfirmationCode() {
  std::string code;
  while (code.size() < kCodeChars) {
    const auto byte = static_cast<unsigned char>(storage::RandomString(1)[0]);
    // What would make some letters likelier than others is drawn again.
    if (byte >= 256 / kCodeAlphabetSize * kCodeAlphabetSize) continue;
    code.push_back(kCodeAlphabet[byte % kCodeAlphabetSize]);
  }
  return absl::StrCat(code.substr(0, kCodeChars / 2), "-", code.substr(kCodeChars / 2));
}

records::ConnectionAttemptRecord NewAttempt(const ParentName& parent, absl::string_view provider, absl::Time now) {
  records::ConnectionAttemptRecord record;
  record.set_parent(parent.RecordParent());
  record.set_id(absl::BytesToHexString(storage::RandomString(kIdBytes)));
  record.set_provider(std::string(provider));
  record.set_confirmation_code(NewConfirmationCode());
  record.set_state(v1::CONNECTION_ATTEMPT_STATE_PENDING);
  record.set_create_time(absl::ToUnixNanos(now));
  record.set_expire_time(absl::ToUnixNanos(now + kAttemptLifetime));
  return record;
}

ParentName FoundAttempt::Parent() const {
  ParentName parent;
  const std::string name =
      record->parent().empty() ? absl::StrCat("orgs/", org) : absl::StrCat("orgs/", org, "/", record->parent());
  // It was parsed before it was stored.
  if (absl::StatusOr<ParentName> parsed = ParseParent(name, "parent"); parsed.ok()) parent = *std::move(parsed);
  return parent;
}

std::string FoundAttempt::ConnectionName() const { return ChildName{Parent(), record->provider()}.Name(kConnections); }

absl::StatusOr<std::optional<FoundAttempt>> FindAttempt(const storage::StoreView& view, AttemptSecret which,
                                                        absl::string_view secret) {
  if (!IsUrlSecret(secret)) return std::optional<FoundAttempt>();
  const std::string hash = HashOfSecret(secret);
  ASSIGN_OR_RETURN(const auto index, ReadRecord<records::ConnectionAttemptIndexRecord>(view, IndexKey(hash)));
  if (!index.has_value()) return std::optional<FoundAttempt>();
  FoundAttempt found;
  found.org = index->record.org();
  auto stored = view.Get({Table::kConnectionAttempt, found.org, index->record.parent(), index->record.id()});
  // The organization is gone, and its keys with it.
  if (absl::IsNotFound(stored.status())) return std::optional<FoundAttempt>();
  RETURN_IF_ERROR(stored.status());
  if (!stored->has_value()) return std::optional<FoundAttempt>();
  RETURN_IF_ERROR(storage::ParseSecretInto((*stored)->payload, *found.record));
  found.revision = (*stored)->revision;
  // An index entry that outlived its attempt must not open another of the same id, nor one secret stand for the other.
  const std::string& own = which == AttemptSecret::kStart ? found.record->start_hash() : found.record->state_hash();
  if (!storage::ConstantTimeEquals(own, hash)) return std::optional<FoundAttempt>();
  return std::optional<FoundAttempt>(std::move(found));
}

void PutAttempt(const std::string& org, const records::ConnectionAttemptRecord& record, storage::Revision expected,
                storage::Mutation* mutation) {
  mutation->Put(AttemptKey(org, record), storage::SerializeSecret(record), /*version=*/1, expected);
}

void PutAttemptIndex(const std::string& org, const records::ConnectionAttemptRecord& record, const std::string& hash,
                     storage::Mutation* mutation) {
  records::ConnectionAttemptIndexRecord index;
  index.set_org(org);
  index.set_parent(record.parent());
  index.set_id(record.id());
  index.set_expire_time(record.expire_time());
  mutation->Put(IndexKey(hash), storage::SerializeSecret(index), /*version=*/1, /*expected=*/0);
}

absl::Status CheckAttemptQuota(const storage::StoreView& view, const std::string& org, const std::string& starter,
                               absl::Time now) {
  int all = 0;
  int open = 0;
  int own = 0;
  int own_kept = 0;
  absl::Status decoded;
  const absl::Status scanned = view.ScanAll(Table::kConnectionAttempt, org, [&](storage::Record stored) {
    storage::Wiped<records::ConnectionAttemptRecord> record;
    decoded = storage::ParseSecretInto(stored.payload, *record);
    if (!decoded.ok()) return false;
    ++all;
    if (record->starter() == starter) ++own_kept;
    if (record->state() == v1::CONNECTION_ATTEMPT_STATE_PENDING && record->expire_time() > absl::ToUnixNanos(now)) {
      ++open;
      if (record->starter() == starter) ++own;
    }
    return true;
  });
  RETURN_IF_ERROR(scanned);
  RETURN_IF_ERROR(decoded);
  if (own_kept >= kMaxAttemptsPerPrincipal) {
    return TooMany(starter, absl::StrCat(kMaxAttemptsPerPrincipal, " connections were started within an hour or so"),
                   "Wait until an hour has passed since the first of them ended.");
  }
  if (own >= kMaxOpenAttemptsPerPrincipal) {
    return TooMany(starter, absl::StrCat(kMaxOpenAttemptsPerPrincipal, " connections are being made"),
                   "Finish one of them, or wait until they end.");
  }
  if (open >= kMaxOpenAttemptsPerOrg || all >= kMaxAttemptsPerOrg) {
    return TooMany(absl::StrCat("orgs/", org), "too many connections are being made", "Try again later.");
  }
  return absl::OkStatus();
}

}  // namespace keyferry::server
