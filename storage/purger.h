#ifndef KEYFERRY_STORAGE_PURGER_H_
#define KEYFERRY_STORAGE_PURGER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/engine/engine.h"

namespace keyferry::storage {

// Removes replaced and deleted bytes from the engine's files, on a thread of its own. What is to be removed is noted by
// a marker in the batch that replaces it, so that a crash forgets nothing: Resume picks the markers up. Several batches
// are purged together, `delay` after the first. Thread-safe.
class Purger {
 public:
  // `engine` must outlive it.
  Purger(Engine* engine, absl::Duration delay);
  // Stops; what is left is found again by Resume after the next open.
  ~Purger() ABSL_LOCKS_EXCLUDED(mutex_);

  struct Marker {
    std::string engine_key;
    std::vector<std::string> keys;
  };
  // Adds a marker for `keys` to the batch. Pass it to Add once the batch is committed.
  static Marker AddMarker(std::vector<std::string> keys, EngineBatch& batch);
  void Add(Marker marker) ABSL_LOCKS_EXCLUDED(mutex_);

  // Takes over the markers that the engine holds. Call once, before any Add.
  absl::Status Resume() ABSL_LOCKS_EXCLUDED(mutex_);

  // Purges at once and waits until all that was added before is done. DEADLINE_EXCEEDED, with the last problem, if not.
  absl::Status Wait(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mutex_);

  // Markers whose bytes may still be in the files: those that wait for their turn, and those that are being purged,
  // which itself waits for views from before.
  size_t pending() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  void WaitForWork() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status PurgeNow(const std::vector<Marker>& markers);

  Engine* const engine_;
  const absl::Duration delay_;
  absl::Mutex mutex_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  int waiters_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Marker> pending_ ABSL_GUARDED_BY(mutex_);
  // Those that the thread has taken from pending_ and has not purged yet.
  size_t in_hand_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t added_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t purged_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status last_error_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_PURGER_H_
