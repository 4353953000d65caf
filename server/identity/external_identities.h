#ifndef KEYFERRY_SERVER_IDENTITY_EXTERNAL_IDENTITIES_H_
#define KEYFERRY_SERVER_IDENTITY_EXTERNAL_IDENTITIES_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/identity/external_identity.h"

namespace keyferry::server {

// Says who somebody is who brings no API token but the word of a platform: a signed token or a client certificate. What
// they may call as is not known here. Thread-safe.
//
// Every refusal is UNAUTHENTICATED, reason IDENTITY_REFUSED, and in the same words, so that nobody learns from outside
// how far they came; the log says why. (A person who was verified is told what is missing.) UNAVAILABLE, reason
// IDENTITY_UNAVAILABLE, while it cannot be known. No message and no log line holds any part of a token.
class ExternalIdentities {
 public:
  struct Admitted {
    std::shared_ptr<const ExternalIdentity> identity;
    absl::Time expire_time;
  };
  // OK if something is granted to the identity, or the refusal.
  using Granted = std::function<absl::Status(const ExternalIdentity&)>;
  // Calls `end` once what is awaited has happened, at once or from any thread.
  using Pending = std::function<void(std::function<void()> end)>;
  // How somebody is asked about. `granted` is called before anything is kept of somebody new and before the network is
  // asked about them, so that tokens which open nothing cost neither.
  struct Question {
    Granted granted;
    // For a call that stays open, for which an older answer of the network counts.
    bool stream = false;
    // May be null.
    Pending* pending = nullptr;
    // Asked before a token is verified that is not known yet; an error is the answer. May be null.
    std::function<absl::Status()> may_verify = nullptr;
    // The same before one is looked at again that was verified and opened nothing.
    std::function<absl::Status()> may_repeat = nullptr;
    // Called for each of those that opens nothing, unless that was seen without a signature. May be null.
    std::function<void()> in_vain = nullptr;
  };

  virtual ~ExternalIdentities() = default;

  // Whether any issuer is trusted, so that a token may be one of theirs.
  virtual bool TakesTokens() const = 0;

  // Changes with what is trusted.
  virtual uint64_t Generation() const = 0;

  // `hash` is the SHA-256 of the token. Where an answer needs the network, it is UNAVAILABLE for now; the question's
  // `pending` is then set to what to wait for before the caller asks again.
  virtual absl::StatusOr<Admitted> VerifyToken(absl::string_view token, const std::string& hash,
                                               const Question& question) = 0;

  // The certificates that a client has shown to have the key of, PEM, its own first. Sets `hash` to what VerifyAgain
  // takes.
  virtual absl::StatusOr<Admitted> VerifyCertificate(absl::string_view pem_chain, std::string* hash,
                                                     const Question& question) = 0;

  // Whether somebody who was admitted before still is, by the hash, for a stream. NOT_FOUND if they expired, or what
  // verified them is trusted no longer; UNAVAILABLE if that cannot be said, since they are not kept any more.
  virtual absl::StatusOr<Admitted> VerifyAgain(const std::string& hash, const Granted& granted) = 0;

  // Whether identities of the issuer's namespace, or of the trust domain (that has none), may enter the organization.
  virtual bool MayEnter(absl::string_view issuer, absl::string_view name_space, absl::string_view org) const = 0;

  // `iss` of the issuer of people of that name, "" if there is none.
  virtual std::string UrlOf(absl::string_view issuer) const = 0;

  // The refusal of somebody who was admitted and may call as nobody, for the reason `why`. A person is told.
  virtual absl::Status RefuseUngranted(const ExternalIdentity& identity, absl::string_view why) = 0;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_EXTERNAL_IDENTITIES_H_
