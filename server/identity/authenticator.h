#ifndef KEYFERRY_SERVER_IDENTITY_AUTHENTICATOR_H_
#define KEYFERRY_SERVER_IDENTITY_AUTHENTICATOR_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/identity/caller.h"
#include "server/identity/external_identities.h"
#include "server/identity/people_enrolment.h"
#include "storage/store.h"

namespace keyferry::server {

using Clock = std::function<absl::Time()>;

// What a call brings to say who makes it.
struct CallCredentials {
  // Value of the metadata `authorization`, "Bearer TOKEN"; empty if there was none.
  absl::string_view authorization;
  // Certificates that the client showed in the TLS handshake, PEM, its own first; empty if there were none. They count
  // where there is no token.
  absl::string_view certificates;
  // The call opens a stream (ExternalIdentities::Question).
  bool stream = false;
  // Asked before a token is verified that is not known yet (ExternalIdentities::Question).
  std::function<absl::Status()> may_verify = nullptr;
  std::function<void()> in_vain = nullptr;
  // Where the call comes from, for what is done on its behalf.
  std::string peer = {};
};

// Turns an API token, or the word of a platform that is trusted, into the caller that it speaks for, read from one
// view. Thread-safe.
//
// Callers are kept in a bounded cache by the hash of their token, and dropped together when a commit touches any table
// that they were computed from, so that a revocation, a role or a tier change counts from its acknowledgement on.
// Expiry is checked at every call. A token is found by its SHA-256, so that no comparison sees its text.
class Authenticator {
 public:
  // `store`, `external` and `people` must outlive this. `external` may be null: API tokens alone are taken. `people`
  // may be null: the directory is changed for nobody.
  Authenticator(storage::Store* store, Clock clock, ExternalIdentities* external = nullptr,
                PeopleEnrolment* people = nullptr, size_t max_cached = 65536);

  // UNAUTHENTICATED with reason TOKEN_MISSING, TOKEN_MALFORMED (form or checksum; the store is not asked),
  // TOKEN_UNKNOWN (never made, revoked, or its principal was deleted) or TOKEN_EXPIRED. For what is no API token, what
  // ExternalIdentities answers, with its `pending`; an identity that is granted to no workload is refused in the same
  // way. A person for whom the directory must be changed first is UNAVAILABLE meanwhile, with `pending`, and then what
  // the change failed with, if it did. Otherwise what the store answers. No message holds any part of a token.
  absl::StatusOr<std::shared_ptr<const Caller>> Authenticate(const CallCredentials& credentials,
                                                             ExternalIdentities::Pending* pending = nullptr)
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<std::shared_ptr<const Caller>> Authenticate(absl::string_view authorization) {
    return Authenticate(CallCredentials{authorization, ""});
  }

  // The same for what was presented before, by Caller::token_hash; `external` says whether it was the word of a
  // platform (Caller::external).
  absl::StatusOr<std::shared_ptr<const Caller>> AuthenticateAgain(const std::string& token_hash, bool external)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // Changes whenever a commit touches a table that a Caller depends on.
  uint64_t Stamp() const;
  absl::StatusOr<Caller> Load(absl::string_view hash) const;
  // The workload to which the identity is granted, or the refusal.
  absl::StatusOr<Caller> Granted(const ExternalIdentity& identity) const;
  absl::StatusOr<Caller> LoadExternal(const std::string& hash, const ExternalIdentities::Admitted& admitted) const;
  // The caller, from the cache or by `load`, which says whether to keep it; refused if it has expired. `stamp` is from
  // before anything was asked that they are computed from.
  absl::StatusOr<std::shared_ptr<const Caller>> FindOrLoad(
      const std::string& hash, uint64_t stamp, const std::function<absl::StatusOr<Caller>(bool* keep)>& load)
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<std::shared_ptr<const Caller>> FinishExternal(
      const std::string& hash, uint64_t stamp, const absl::StatusOr<ExternalIdentities::Admitted>& admitted);
  // OK if the person may call, now or once the directory says so, or the refusal.
  absl::Status MayCall(const ExternalIdentity& identity) const;
  // The person as the directory has them; `enrol`: it must be changed first.
  absl::StatusOr<Caller> LoadPerson(const std::string& hash, const ExternalIdentities::Admitted& admitted,
                                    bool* enrol) const;
  absl::StatusOr<std::shared_ptr<const Caller>> FinishPerson(const std::string& hash, uint64_t stamp,
                                                             VerifiedPerson person,
                                                             ExternalIdentities::Pending* pending);
  std::shared_ptr<const Caller> Find(const std::string& hash, uint64_t stamp) ABSL_LOCKS_EXCLUDED(mutex_);

  storage::Store* const store_;
  const Clock clock_;
  ExternalIdentities* const external_;
  PeopleEnrolment* const people_;
  const size_t max_cached_;

  absl::Mutex mutex_;
  uint64_t cached_stamp_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, std::shared_ptr<const Caller>> cached_ ABSL_GUARDED_BY(mutex_);
};

// The records that say who `caller` is, its tier and that its token stands; a user's memberships are not among them.
std::vector<storage::RecordKey> RecordsOf(const Caller& caller);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_AUTHENTICATOR_H_
