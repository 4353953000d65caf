#ifndef KEYFERRY_SERVER_OAUTH_TESTING_REFRESHER_H_
#define KEYFERRY_SERVER_OAUTH_TESTING_REFRESHER_H_

#include <functional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "server/oauth/connection_refresher.h"

namespace keyferry::server {

// Testonly. Refreshes nothing: each call waits until the test answers it. Thread-safe.
class FakeRefresher : public ConnectionRefresher {
 public:
  void Refresh(const ConnectionKey& key, bool force, std::function<void(absl::Status)> done) override
      ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    waiting_.emplace_back(key, std::move(done));
    ++asked_;
  }
  void Changed(const ConnectionKey& key) override {}

  // Answers everybody who waits.
  void Answer(const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_) {
    std::vector<std::pair<ConnectionKey, std::function<void(absl::Status)>>> waiting;
    {
      absl::MutexLock lock(&mutex_);
      waiting.swap(waiting_);
    }
    for (auto& [key, done] : waiting) done(status);
  }
  // Until somebody has asked so often.
  void AwaitAsked(int times) ABSL_LOCKS_EXCLUDED(mutex_) {
    const auto reached = [&]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return asked_ >= times; };
    absl::MutexLock lock(&mutex_, absl::Condition(&reached));
  }
  int asked() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return asked_;
  }
  // Of those who wait.
  std::vector<ConnectionKey> Waiting() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    std::vector<ConnectionKey> keys;
    for (const auto& [key, done] : waiting_) keys.push_back(key);
    return keys;
  }

 private:
  absl::Mutex mutex_;
  std::vector<std::pair<ConnectionKey, std::function<void(absl::Status)>>> waiting_ ABSL_GUARDED_BY(mutex_);
  int asked_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_TESTING_REFRESHER_H_
