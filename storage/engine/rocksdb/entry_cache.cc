#include "storage/engine/rocksdb/entry_cache.h"

#include <algorithm>

#include "absl/hash/hash.h"

namespace keyferry::storage {

EntryCache::EntryCache() {
  for (Stripe& stripe : stripes_) {
    absl::MutexLock lock(&stripe.mutex);
    stripe.slots.resize(kSlots / kStripes);
  }
}

void EntryCache::Update(absl::string_view key, Revision revision, const std::optional<std::string>& value) {
  const size_t hash = absl::Hash<absl::string_view>()(key);
  Stripe& stripe = stripes_[hash % kStripes];
  absl::MutexLock lock(&stripe.mutex);
  Slot& slot = stripe.slots[hash / kStripes % stripe.slots.size()];
  slot.changed = std::max(slot.changed, revision);
  if (slot.key != key) return;
  if (value.has_value() && value->size() > kMaxValueBytes) {
    slot.key.clear();
    slot.value.reset();
    return;
  }
  slot.value = value;
  slot.revision = value.has_value() ? revision : 0;
  slot.read_at = revision;
}

std::optional<std::optional<EngineEntry>> EntryCache::Find(absl::string_view key, Revision view) const {
  const size_t hash = absl::Hash<absl::string_view>()(key);
  const Stripe& stripe = stripes_[hash % kStripes];
  absl::MutexLock lock(&stripe.mutex);
  const Slot& slot = stripe.slots[hash / kStripes % stripe.slots.size()];
  if (slot.key != key || slot.read_at > view) return std::nullopt;
  std::optional<std::optional<EngineEntry>> found(std::in_place);
  if (slot.value.has_value()) *found = EngineEntry{slot.key, *slot.value, slot.revision};
  return found;
}

std::optional<Revision> EntryCache::FindRevision(absl::string_view key, Revision view) const {
  const size_t hash = absl::Hash<absl::string_view>()(key);
  const Stripe& stripe = stripes_[hash % kStripes];
  absl::MutexLock lock(&stripe.mutex);
  const Slot& slot = stripe.slots[hash / kStripes % stripe.slots.size()];
  if (slot.key != key || slot.read_at > view) return std::nullopt;
  return slot.revision;
}

void EntryCache::Insert(absl::string_view key, Revision view, const std::optional<EngineEntry>& entry) {
  if (entry.has_value() && entry->value.size() > kMaxValueBytes) return;
  const size_t hash = absl::Hash<absl::string_view>()(key);
  Stripe& stripe = stripes_[hash % kStripes];
  absl::MutexLock lock(&stripe.mutex);
  Slot& slot = stripe.slots[hash / kStripes % stripe.slots.size()];
  // A commit after the view may have touched this very key; and what a newer view showed serves longer.
  if (slot.changed > view || (slot.key == key && slot.read_at >= view)) return;
  slot.key.assign(key.data(), key.size());
  slot.read_at = view;
  slot.revision = entry.has_value() ? entry->revision : 0;
  if (entry.has_value()) {
    slot.value = entry->value;
  } else {
    slot.value.reset();
  }
}

}  // namespace keyferry::storage
