#ifndef KEYFERRY_SERVER_OAUTH_CONNECT_ORG_TURNS_H_
#define KEYFERRY_SERVER_OAUTH_CONNECT_ORG_TURNS_H_

#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"

namespace keyferry::server {

// Lets one at a time do something for an organization, and whoever does it for another at the same time. Thread-safe.
class OrgTurns {
 public:
  // Ends with its end. Must not outlive the turns.
  class Turn {
   public:
    Turn(OrgTurns* turns, std::string org) : turns_(turns), org_(std::move(org)) {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    ~Turn() { turns_->End(org_); }

   private:
    OrgTurns* const turns_;
    const std::string org_;
  };

  // Waits for the turn of whoever has one for `org`, which must not be this thread.
  Turn Take(const std::string& org) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const auto is_free = [this, &org]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !taken_.contains(org); };
    mutex_.Await(absl::Condition(&is_free));
    taken_.insert(org);
    return Turn(this, org);
  }

 private:
  void End(const std::string& org) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    taken_.erase(org);
  }

  absl::Mutex mutex_;
  absl::flat_hash_set<std::string> taken_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CONNECT_ORG_TURNS_H_
