#include "storage/seal_counter.h"

#include <algorithm>
#include <optional>

#include "storage/format.h"
#include "storage/status_macros.h"

namespace keyferry::storage {
namespace {

// key id (4) | count (8)
constexpr size_t kCountSize = 12;

}  // namespace

SealCounter::SealCounter(Engine* engine, const RootKeys* root, const Prf::Tag& org_tag, uint32_t key_id, uint64_t block)
    : engine_(engine),
      root_(root),
      engine_key_(SpaceKey(Space::kSealCount, absl::string_view(org_tag.data(), org_tag.size()))),
      key_id_(key_id),
      block_(block) {}

absl::Status SealCounter::Take(uint64_t seals) {
  absl::MutexLock lock(&mutex_);
  if (left_ < seals) RETURN_IF_ERROR(Reserve(seals));
  left_ -= seals;
  return absl::OkStatus();
}

absl::StatusOr<uint64_t> SealCounter::Persisted() const {
  ASSIGN_OR_RETURN(Stored stored, Load());
  return stored.count;
}

uint64_t SealCounter::known() const {
  absl::MutexLock lock(&mutex_);
  return known_;
}

absl::StatusOr<SealCounter::Stored> SealCounter::Load() const {
  ASSIGN_OR_RETURN(std::optional<EngineEntry> entry, engine_->Snapshot()->Get(engine_key_));
  if (!entry.has_value()) return Stored();
  ASSIGN_OR_RETURN(SecretBytes plaintext, root_->Open(engine_key_, entry->value));
  const absl::string_view bytes = plaintext.Expose();
  if (bytes.size() != kCountSize) return absl::DataLossError("a seal count is malformed");
  // The count of an older key says nothing about this one.
  if (ReadUint(bytes, 4) != key_id_) return Stored{0, entry->revision};
  return Stored{ReadUint(bytes.substr(4), 8), entry->revision};
}

absl::Status SealCounter::Reserve(uint64_t seals) {
  // Another counter of the same key may be in use for a moment (a keyring loaded twice), so the stored count decides.
  for (;;) {
    ASSIGN_OR_RETURN(Stored stored, Load());
    const uint64_t step = std::max(block_, seals);
    std::string bytes;
    AppendUint32(key_id_, bytes);
    AppendUint64(stored.count + step, bytes);
    EngineBatch batch;
    batch.writes.push_back({engine_key_, root_->Seal(engine_key_, SecretBytes::CopyOf(bytes))});
    batch.preconditions.push_back({engine_key_, stored.revision});
    const absl::StatusOr<Revision> revision = engine_->Commit(batch, Durability::kBuffered);
    if (absl::IsAborted(revision.status())) continue;
    RETURN_IF_ERROR(revision.status());
    left_ = step;
    known_ = stored.count + step;
    return absl::OkStatus();
  }
}

}  // namespace keyferry::storage
