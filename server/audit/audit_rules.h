#ifndef KEYFERRY_SERVER_AUDIT_AUDIT_RULES_H_
#define KEYFERRY_SERVER_AUDIT_AUDIT_RULES_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "keyferry/v1/audit.pb.h"
#include "server/identity/caller.h"
#include "server/pagination.h"
#include "storage/store.h"

namespace keyferry::server {

// Reads the audit logs that are kept in the store. Thread-safe.
//
// A list looks through a bounded part of the log in one call, and pages hold their place by sequence, so that entries
// that are added meanwhile move nothing.
class AuditRules {
 public:
  struct Limits {
    // Entries that one call looks through, and bytes that it answers.
    size_t scanned_entries = 20000;
    size_t page_bytes = size_t{1} << 20;
  };

  // `store` and `pages` must outlive this.
  AuditRules(storage::Store* store, const PageTokens* pages) : AuditRules(store, pages, Limits()) {}
  AuditRules(storage::Store* store, const PageTokens* pages, const Limits& limits)
      : store_(store), pages_(pages), limits_(limits) {}

  // Every caller of the org; each is shown what the policy lets them see.
  absl::StatusOr<v1::ListAuditEntriesResponse> ListAuditEntries(const Caller& caller,
                                                                const v1::ListAuditEntriesRequest& request) const;

  absl::StatusOr<v1::AuditHead> GetAuditHead(const Caller& caller, const v1::GetAuditHeadRequest& request) const;

  // RESOURCE_EXHAUSTED while the same org's log is already being checked.
  absl::StatusOr<v1::VerifyAuditLogResponse> VerifyAuditLog(const Caller& caller,
                                                            const v1::VerifyAuditLogRequest& request)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Checks of logs so far, those that found damage, and the logs whose last check did. A head that the caller expected
  // and that the log does not have is no damage: the caller may be wrong.
  struct Checks {
    uint64_t done = 0;
    uint64_t damaged = 0;
    uint64_t damaged_logs = 0;
  };
  Checks checks() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Counts a check of the org's log ("" for the system's) among them.
  void NoteCheck(const std::string& org, bool damaged) const ABSL_LOCKS_EXCLUDED(mutex_);
  // Of an org that is gone, and of all but these, there is no damaged log any more.
  void ForgetDamage(const std::string& org) ABSL_LOCKS_EXCLUDED(mutex_);
  void KeepDamaged(const absl::flat_hash_set<std::string>& orgs) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::StatusOr<v1::VerifyAuditLogResponse> Verify(const std::string& org, const v1::AuditHead& expected) const;

  storage::Store* const store_;
  const PageTokens* const pages_;
  const Limits limits_;
  mutable absl::Mutex mutex_;
  mutable Checks checks_ ABSL_GUARDED_BY(mutex_);
  mutable absl::flat_hash_set<std::string> damaged_ ABSL_GUARDED_BY(mutex_);
  // Orgs whose log is being checked.
  absl::flat_hash_set<std::string> verifying_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_AUDIT_AUDIT_RULES_H_
