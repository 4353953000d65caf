#include "storage/keyring_cache.h"

#include <algorithm>
#include <utility>

#include "absl/hash/hash.h"

namespace keyferry::storage {

KeyringCache::KeyringCache(size_t capacity) : shard_capacity_(std::max<size_t>(1, capacity / kShards)) {}

KeyringCache::Shard& KeyringCache::ShardOf(absl::string_view org) const {
  return shards_[absl::Hash<absl::string_view>()(org) % kShards];
}

std::shared_ptr<const OrgKeys> KeyringCache::Find(absl::string_view org) const {
  const Shard& shard = ShardOf(org);
  absl::ReaderMutexLock lock(&shard.mutex);
  const auto it = shard.index.find(org);
  if (it == shard.index.end()) return nullptr;
  const Slot& slot = *shard.slots[it->second];
  // Writing only on change keeps the cache line shared among readers.
  if (!slot.used.load(std::memory_order_relaxed)) slot.used.store(true, std::memory_order_relaxed);
  return slot.keys;
}

void KeyringCache::Put(std::shared_ptr<const OrgKeys> keys) {
  Shard& shard = ShardOf(keys->org());
  absl::MutexLock lock(&shard.mutex);
  const auto it = shard.index.find(keys->org());
  if (it != shard.index.end()) {
    shard.slots[it->second]->keys = std::move(keys);
    return;
  }
  const std::string org = keys->org();
  if (shard.slots.size() < shard_capacity_) {
    shard.index[org] = shard.slots.size();
    shard.slots.push_back(std::make_unique<Slot>(std::move(keys)));
    return;
  }
  const size_t at = MakeRoom(shard);
  shard.index[org] = at;
  shard.slots[at] = std::make_unique<Slot>(std::move(keys));
}

size_t KeyringCache::MakeRoom(Shard& shard) {
  for (;;) {
    const size_t at = shard.hand;
    shard.hand = (shard.hand + 1) % shard.slots.size();
    // A slot without keys was erased.
    if (shard.slots[at]->keys == nullptr) return at;
    if (shard.slots[at]->used.exchange(false, std::memory_order_relaxed)) continue;
    shard.index.erase(shard.slots[at]->keys->org());
    return at;
  }
}

void KeyringCache::Erase(absl::string_view org) {
  Shard& shard = ShardOf(org);
  absl::MutexLock lock(&shard.mutex);
  const auto it = shard.index.find(org);
  if (it == shard.index.end()) return;
  shard.slots[it->second]->keys = nullptr;
  shard.slots[it->second]->used = false;
  shard.index.erase(it);
}

}  // namespace keyferry::storage
