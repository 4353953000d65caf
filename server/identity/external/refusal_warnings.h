#ifndef KEYFERRY_SERVER_IDENTITY_EXTERNAL_REFUSAL_WARNINGS_H_
#define KEYFERRY_SERVER_IDENTITY_EXTERNAL_REFUSAL_WARNINGS_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/hash/hash.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/identity/external_identity.h"

namespace keyferry::server {

// Keeps whoever is refused again and again from filling the log: one warning of an identity and a problem each kTime.
// Thread-safe, and bounded: beyond kMax it begins anew.
class RefusalWarnings {
 public:
  static constexpr absl::Duration kTime = absl::Minutes(1);
  static constexpr size_t kMax = 4096;

  // Whether to warn now.
  bool IsNew(const ExternalIdentity& identity, absl::string_view problem, absl::Time now) ABSL_LOCKS_EXCLUDED(mutex_) {
    const uint64_t key = absl::HashOf(identity.issuer, identity.subject, identity.pod, problem);
    absl::MutexLock lock(&mutex_);
    const auto found = warned_.find(key);
    // A clock that was set back makes nothing young again.
    if (found != warned_.end() && now >= found->second && now < found->second + kTime) return false;
    if (found == warned_.end() && warned_.size() >= kMax) warned_.clear();
    warned_[key] = now;
    return true;
  }

  void Clear() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    warned_.clear();
  }

 private:
  absl::Mutex mutex_;
  absl::flat_hash_map<uint64_t, absl::Time> warned_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_EXTERNAL_REFUSAL_WARNINGS_H_
