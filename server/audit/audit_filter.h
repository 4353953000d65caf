#ifndef KEYFERRY_SERVER_AUDIT_AUDIT_FILTER_H_
#define KEYFERRY_SERVER_AUDIT_AUDIT_FILTER_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "keyferry/v1/audit.pb.h"
#include "server/identity/caller.h"

namespace keyferry::server {

// A checked v1::AuditFilter of one org.
class AuditFilter {
 public:
  // INVALID_ARGUMENT on the field of `filter` that is malformed or names something of another org.
  static absl::StatusOr<AuditFilter> Make(const std::string& org, const v1::AuditFilter& filter);

  bool Matches(const v1::AuditEntry& entry) const;

  absl::Time since() const { return since_; }
  absl::Time until() const { return until_; }

 private:
  v1::AuditFilter filter_;
  absl::Time since_ = absl::InfinitePast();
  absl::Time until_ = absl::InfiniteFuture();
};

// When the call of an entry began.
absl::Time TimeOf(const v1::AuditEntry& entry);

// Whether the policy lets the caller see the entry, which is of the caller's org; takes out of it what they may not
// see.
bool ShowTo(const Caller& caller, v1::AuditEntry* entry);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_AUDIT_AUDIT_FILTER_H_
