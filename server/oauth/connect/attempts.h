#ifndef KEYFERRY_SERVER_OAUTH_CONNECT_ATTEMPTS_H_
#define KEYFERRY_SERVER_OAUTH_CONNECT_ATTEMPTS_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/names.h"
#include "storage/crypto/secret_bytes.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"
#include "storage/store.h"

namespace keyferry::server {

// An attempt to connect, from StartConnection to the provider's answer, as records. Two secrets lead a browser to it:
// that of the start URL, and the `state` (RFC 6749, section 10.12). Only their SHA-256 is stored, so that who reads the
// store can go on with no attempt, and finding one compares no secret.

constexpr absl::Duration kAttemptLifetime = absl::Minutes(10);
// Open ones, of one principal and of an organization; and all that an organization holds, forgotten ones not counted.
constexpr int kMaxOpenAttemptsPerPrincipal = 20;
// Those that ended a while ago too.
constexpr int kMaxAttemptsPerPrincipal = 100;
constexpr int kMaxOpenAttemptsPerOrg = 1000;
constexpr int kMaxAttemptsPerOrg = 5000;

// 256 random bits as 43 characters of base64url: as secret of a URL or cookie, and as PKCE verifier (RFC 7636, 4.1).
storage::SecretBytes NewUrlSecret();
// Whether it has the form of one.
bool IsUrlSecret(absl::string_view text);
// BASE64URL(SHA256(text)) (RFC 7636, section 4.2).
std::string ChallengeOf(absl::string_view verifier);
// SHA-256, 32 bytes.
std::string HashOfSecret(absl::string_view text);

// Eight letters and digits that are not mistaken for one another, e.g. "K7QM-2XHP".
std::string NewConfirmationCode();

// A pending attempt without hashes: id, confirmation code and times are set.
storage::records::ConnectionAttemptRecord NewAttempt(const ParentName& parent, absl::string_view provider,
                                                     absl::Time now);

struct FoundAttempt {
  std::string org;
  storage::Wiped<storage::records::ConnectionAttemptRecord> record;
  storage::Revision revision = 0;

  ParentName Parent() const;
  std::string ConnectionName() const;
  bool IsExpired(absl::Time now) const { return record->expire_time() <= absl::ToUnixNanos(now); }
};

// Which of the two secrets is presented: one is never taken for the other.
enum class AttemptSecret { kStart, kState };
// The attempt that the secret leads to, or nullopt. Errors are the store's.
absl::StatusOr<std::optional<FoundAttempt>> FindAttempt(const storage::StoreView& view, AttemptSecret which,
                                                        absl::string_view secret);

// `expected` as in Mutation::Put.
void PutAttempt(const std::string& org, const storage::records::ConnectionAttemptRecord& record,
                storage::Revision expected, storage::Mutation* mutation);
// Puts the way from the hash to the attempt.
void PutAttemptIndex(const std::string& org, const storage::records::ConnectionAttemptRecord& record,
                     const std::string& hash, storage::Mutation* mutation);

// RESOURCE_EXHAUSTED, reason TOO_MANY, if the principal or the organization may start no more.
absl::Status CheckAttemptQuota(const storage::StoreView& view, const std::string& org, const std::string& starter,
                               absl::Time now);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CONNECT_ATTEMPTS_H_
