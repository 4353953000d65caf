#include "server/limits/rate_limiter.h"

#include <algorithm>

namespace keyferry::server {
namespace {

constexpr int64_t kSecond = 1000000000;

}  // namespace

RateLimiter::RateLimiter(Rate rate, size_t max_keys)
    : max_keys_per_shard_(std::max<size_t>(1, max_keys / kShards)), shards_(new Shard[kShards]) {
  SetRate(rate);
}

void RateLimiter::SetRate(Rate rate) {
  // More than a token a nanosecond is no limit that could be kept or missed.
  const int64_t interval = rate.per_second == 0 ? 0 : std::max<int64_t>(1, kSecond / rate.per_second);
  depth_.store(interval * std::max<int64_t>(1, rate.burst), std::memory_order_relaxed);
  interval_.store(interval, std::memory_order_relaxed);
}

RateLimiter::Shard& RateLimiter::ShardOf(uint64_t key) const {
  // The map spreads by its own hash of the key, so the shard is taken from other bits than the lowest.
  return shards_[(key * 0x9e3779b97f4a7c15u) >> 58];
}

int64_t* RateLimiter::BucketOf(Shard* shard, uint64_t key, int64_t now) const {
  const auto found = shard->full_at.find(key);
  if (found != shard->full_at.end()) return &found->second;
  if (shard->full_at.size() >= max_keys_per_shard_ && now >= shard->next_sweep) {
    absl::erase_if(shard->full_at, [now](const auto& bucket) { return bucket.second <= now; });
    shard->next_sweep = now + kSecond / 10;
  }
  if (shard->full_at.size() >= max_keys_per_shard_) return &shard->shared_full_at;
  return &shard->full_at[key];
}

absl::Duration RateLimiter::Take(uint64_t key, int64_t now) {
  const int64_t interval = interval_.load(std::memory_order_relaxed);
  if (interval == 0) return absl::ZeroDuration();
  const int64_t depth = depth_.load(std::memory_order_relaxed);
  Shard& shard = ShardOf(key);
  absl::MutexLock lock(&shard.mutex);
  int64_t* const full_at = BucketOf(&shard, key, now);
  const int64_t next = std::max(*full_at, now) + interval;
  if (next - now > depth) return absl::Nanoseconds(next - now - depth);
  *full_at = next;
  return absl::ZeroDuration();
}

absl::Duration RateLimiter::WaitOf(uint64_t key, int64_t now) const {
  const int64_t interval = interval_.load(std::memory_order_relaxed);
  if (interval == 0) return absl::ZeroDuration();
  const int64_t depth = depth_.load(std::memory_order_relaxed);
  const Shard& shard = ShardOf(key);
  absl::MutexLock lock(&shard.mutex);
  const auto found = shard.full_at.find(key);
  if (found == shard.full_at.end()) return absl::ZeroDuration();
  const int64_t next = std::max(found->second, now) + interval;
  return absl::Nanoseconds(std::max<int64_t>(0, next - now - depth));
}

void RateLimiter::GiveBack(uint64_t key, int64_t now) {
  const int64_t interval = interval_.load(std::memory_order_relaxed);
  if (interval == 0) return;
  Shard& shard = ShardOf(key);
  absl::MutexLock lock(&shard.mutex);
  int64_t* const full_at = BucketOf(&shard, key, now);
  // A bucket that is full stays full.
  if (*full_at > now) *full_at -= interval;
}

size_t RateLimiter::size() const {
  size_t size = 0;
  for (size_t i = 0; i < kShards; ++i) {
    absl::MutexLock lock(&shards_[i].mutex);
    size += shards_[i].full_at.size();
  }
  return size;
}

}  // namespace keyferry::server
