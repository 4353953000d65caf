#include "storage/commit_extension.h"

#include <utility>

#include "storage/status_macros.h"

namespace keyferry::storage {
namespace {

// Keeps a marker well below the largest value of an engine: this many keys of at most 50 bytes.
constexpr size_t kMaxMarkerKeys = 16384;

}  // namespace

absl::Status CommitExtension::Extend(absl::Span<const EngineBatch* const> accepted,
                                     std::vector<EngineBatch::Write>& more) {
  marker_.reset();
  std::vector<std::string> replaced;
  chain_->BeginGroup();
  for (const EngineBatch* batch : accepted) {
    const auto* const attachment = static_cast<const Attachment*>(batch->attachment);
    if (attachment == nullptr) continue;
    for (const JournalChain::Append& append : attachment->appends) {
      RETURN_IF_ERROR(chain_->Grow(append, attachment->save_heads, more));
    }
    replaced.insert(replaced.end(), attachment->replaced.begin(), attachment->replaced.end());
  }
  chain_->EndGroup(more);
  if (replaced.empty()) return absl::OkStatus();
  if (replaced.size() > kMaxMarkerKeys) return absl::InvalidArgumentError("a commit replaces too many values");
  EngineBatch marked;
  marker_ = Purger::AddMarker(std::move(replaced), marked);
  more.push_back(std::move(marked.writes.back()));
  return absl::OkStatus();
}

void CommitExtension::Written(bool ok) {
  chain_->GroupWritten(ok);
  if (ok && marker_.has_value()) purger_->Add(*std::move(marker_));
  marker_.reset();
}

}  // namespace keyferry::storage
