#ifndef KEYFERRY_SERVER_IDENTITY_EXTERNAL_KEY_SOURCE_H_
#define KEYFERRY_SERVER_IDENTITY_EXTERNAL_KEY_SOURCE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/identity/external/key_reader.h"
#include "server/identity/external/one_shot.h"
#include "server/identity/jwt/jwk_set.h"
#include "server/log.h"

namespace keyferry::server {

// The keys of one issuer, read in the background on a thread of its own: at once, then every `refresh`, and when they
// are asked for. A set that cannot be read or understood replaces nothing; the last one is used until it is older than
// `max_age`. Thread-safe.
class KeySource {
 public:
  struct Options {
    absl::Duration refresh = absl::Minutes(5);
    // After a failure.
    absl::Duration retry = absl::Seconds(10);
    // How often those who ask make it read, at the most.
    absl::Duration min_interval = absl::Seconds(10);
    absl::Duration max_age = absl::Hours(24);
  };

  // `name` is what the log calls the issuer. `logger` must outlive this.
  KeySource(std::string name, std::unique_ptr<KeyReader> reader, std::function<absl::Time()> clock, Logger* logger,
            const Options& options);
  // Ends a reading that is under way. Whoever waits for one is told.
  ~KeySource();
  KeySource(const KeySource&) = delete;
  KeySource& operator=(const KeySource&) = delete;

  // Null as long as there are none that may be used.
  std::shared_ptr<const JwkSet> keys() const ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits until a reading has ended, or for that long. OK if there are keys; otherwise why there are none.
  absl::Status AwaitFirstRead(absl::Duration timeout) const ABSL_LOCKS_EXCLUDED(mutex_);

  // Asks for a reading, and says when it has ended; null if one was asked for less than `min_interval` ago, or
  // none begins any more.
  std::shared_ptr<OneShot> TryRead() ABSL_LOCKS_EXCLUDED(mutex_);

  // No reading begins from now on, and one that is under way ends. The keys stay as they are.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether the thread has something to do besides waiting for its time.
  bool IsWoken() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return ending_ || asked_ != nullptr; }
  absl::Status Read() ABSL_LOCKS_EXCLUDED(mutex_);

  const std::string name_;
  const std::unique_ptr<KeyReader> reader_;
  const std::function<absl::Time()> clock_;
  Logger* const logger_;
  const Options options_;

  mutable absl::Mutex mutex_;
  std::shared_ptr<const JwkSet> keys_ ABSL_GUARDED_BY(mutex_);
  absl::Time read_time_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Time asked_time_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  // What the next reading and the one under way will fire.
  std::shared_ptr<OneShot> asked_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<OneShot> running_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  // How the last reading ended; nullopt before the first.
  std::optional<absl::Status> last_ ABSL_GUARDED_BY(mutex_);
  // The last member: it uses all the others.
  std::thread thread_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_EXTERNAL_KEY_SOURCE_H_
