#ifndef KEYFERRY_SERVER_LIMITS_RATE_LIMITER_H_
#define KEYFERRY_SERVER_LIMITS_RATE_LIMITER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace keyferry::server {

// How much one key may use: `per_second` in the long run, and up to `burst` at once after a rest.
struct Rate {
  // 0: no limit.
  uint32_t per_second = 0;
  // 0 counts as 1.
  uint32_t burst = 1;
};

// One token bucket for each of many keys, each full at first. Thread-safe; keys are spread over locks, so that callers
// seldom meet.
//
// A bucket is one number: the time at which it will be full again (the generic cell rate algorithm). One that is full
// is forgotten, so memory is bounded by what is in use, and by `max_keys` in any case: keys that find no place share
// one bucket, which is stricter and never looser.
//
// Times are nanoseconds of any clock that never goes back; only differences count.
class RateLimiter {
 public:
  RateLimiter(Rate rate, size_t max_keys);

  // Takes one token of `key`'s bucket and answers zero, or takes none and answers how long until there is one.
  absl::Duration Take(uint64_t key, int64_t now);
  // What Take would answer, and takes none. Zero for a key that has no bucket of its own.
  absl::Duration WaitOf(uint64_t key, int64_t now) const;
  // Puts back the token that a Take at about this time took.
  void GiveBack(uint64_t key, int64_t now);

  // From the next Take on. What was taken stays taken, for as long as it would have been missing.
  void SetRate(Rate rate);

  // Buckets that are remembered.
  size_t size() const;

 private:
  static constexpr size_t kShards = 64;

  // On a cache line of its own.
  struct alignas(64) Shard {
    mutable absl::Mutex mutex;
    // When the bucket is full again, by key. Never the key of the shared bucket.
    absl::flat_hash_map<uint64_t, int64_t> full_at ABSL_GUARDED_BY(mutex);
    // The bucket of those that find no place.
    int64_t shared_full_at ABSL_GUARDED_BY(mutex) = 0;
    // Before this time no full bucket is looked for again: a walk over the shard for every newcomer would cost more
    // than what it saves.
    int64_t next_sweep ABSL_GUARDED_BY(mutex) = 0;
  };

  Shard& ShardOf(uint64_t key) const;
  // The key's bucket, made if there is a place for it, or the shared one.
  int64_t* BucketOf(Shard* shard, uint64_t key, int64_t now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard->mutex);

  const size_t max_keys_per_shard_;
  // Nanoseconds in which one token comes back, 0 for no limit; and by how much `full_at` may be ahead at most.
  std::atomic<int64_t> interval_{0};
  std::atomic<int64_t> depth_{0};
  const std::unique_ptr<Shard[]> shards_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_LIMITS_RATE_LIMITER_H_
