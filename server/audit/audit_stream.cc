#include "server/audit/audit_stream.h"

#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/audit/audit_line.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "storage/journal.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::JournalBlock;
using storage::JournalEntry;
using storage::JournalHead;

constexpr char kStandardOutput[] = "stdout";
constexpr size_t kBytesPerWrite = size_t{256} << 10;
// Between two runs: lines are gathered, and an entry that no view shows yet is not looked for again and again.
constexpr absl::Duration kRunInterval = absl::Milliseconds(50);

absl::StatusOr<std::vector<std::string>> AllJournals(const storage::StoreView& view) {
  ASSIGN_OR_RETURN(const auto orgs, ScanRecords<records::OrgRecord>(view, storage::Table::kOrg, "", ""));
  std::vector<std::string> names = {""};
  for (const auto& org : orgs) names.push_back(org.record.id());
  return names;
}

}  // namespace

AuditStream::AuditStream(storage::Store* store, Logger* logger, const Options& options)
    : store_(store), logger_(logger), options_(options), state_path_(options.target + ".state") {}

absl::StatusOr<std::unique_ptr<AuditStream>> AuditStream::Start(storage::Store* store, AuditLog* audit, Logger* logger,
                                                                const Options& options) {
  auto stream = std::unique_ptr<AuditStream>(new AuditStream(store, logger, options));
  RETURN_IF_ERROR(stream->Open());
  RETURN_IF_ERROR(stream->FindJournals(/*all=*/stream->sink_->is_file()));
  audit->AddObserver([s = stream.get()](const AuditedCall& call) { s->Observe(call); });
  if (options.background) stream->thread_ = std::thread([s = stream.get()] { s->Run(); });
  return stream;
}

AuditStream::~AuditStream() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (!thread_.joinable()) return;
  thread_.join();
  absl::Status last = RunOnce();
  if (sink_->is_file()) last.Update(Save());
  if (!last.ok()) Warn("the audit stream ended early; a file goes on after the next start", "", last.ToString());
}

absl::Status AuditStream::Open() {
  if (options_.target == kStandardOutput) {
    sink_ = LineSink::OnDescriptor(STDOUT_FILENO);
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(sink_, LineSink::OpenFile(options_.target));
  ASSIGN_OR_RETURN(const LineSink::Place place, sink_->FindPlace());
  absl::StatusOr<StreamState> loaded = StreamState::Load(state_path_);
  if (loaded.ok()) {
    state_ = *std::move(loaded);
  } else if (!absl::IsNotFound(loaded.status())) {
    return loaded.status();
  }
  const bool same = state_.place.device == place.device && state_.place.inode == place.inode;
  // A file that was rotated, replaced or emptied is read from its beginning.
  state_.place = {place.device, place.inode, same && state_.place.size <= place.size ? state_.place.size : 0};
  RETURN_IF_ERROR(state_.Follow(options_.target));
  // A line that a crash cut short comes again.
  if (state_.place.size < place.size) RETURN_IF_ERROR(sink_->Truncate(state_.place.size));
  return Save();
}

absl::Status AuditStream::OpenAgain() {
  RETURN_IF_ERROR(sink_->Sync());
  ASSIGN_OR_RETURN(auto next, LineSink::OpenFile(options_.target));
  ASSIGN_OR_RETURN(state_.place, next->FindPlace());
  sink_ = std::move(next);
  return Save();
}

absl::Status AuditStream::FindJournals(bool all) {
  const auto view = store_->View();
  ASSIGN_OR_RETURN(const std::vector<std::string> orgs, AllJournals(*view));
  for (const std::string& org : orgs) {
    const absl::StatusOr<JournalHead> head = storage::ReadJournalHead(*view, org);
    // It was destroyed and its own record is about to go.
    if (absl::IsNotFound(head.status())) continue;
    RETURN_IF_ERROR(head.status());
    if (all) {
      absl::MutexLock lock(&mutex_);
      waiting_[org] = head->last_sequence;
    } else {
      state_.cursors[org] = {head->last_sequence, head->hash};
    }
  }
  return absl::OkStatus();
}

void AuditStream::Observe(const AuditedCall& call) {
  absl::MutexLock lock(&mutex_);
  waiting_[std::string(call.org)] = static_cast<uint64_t>(call.sequence);
}

void AuditStream::Reopen() {
  absl::MutexLock lock(&mutex_);
  reopen_ = options_.target != kStandardOutput;
}

void AuditStream::Warn(absl::string_view message, absl::string_view org, absl::string_view problem) const {
  if (logger_ != nullptr) logger_->Write(LogLevel::kError, message, {{"org", org}, {"problem", problem}});
}

absl::Status AuditStream::StreamOrg(const storage::StoreView& view, const std::string& org) {
  const absl::StatusOr<JournalHead> head = storage::ReadJournalHead(view, org);
  if (absl::IsNotFound(head.status())) {
    state_.cursors.erase(org);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(head.status());
  StreamCursor& cursor = state_.cursors[org];
  // An org that was deleted and made again has another journal.
  if (cursor.sequence > head->last_sequence) cursor = StreamCursor();
  if (cursor.sequence == head->last_sequence) return absl::OkStatus();
  if (cursor.sequence + 1 < head->first_sequence) {
    if (cursor.sequence != 0) Warn("audit entries were pruned before they were streamed", org, "");
    cursor = {head->first_sequence - 1, head->first_previous_hash};
  }
  if (head->last_sequence == cursor.sequence) return absl::OkStatus();
  ASSIGN_OR_RETURN(JournalBlock block, storage::FindJournalBlock(view, org, *head, cursor.sequence + 1));
  const storage::Sha256Digest& before = cursor.sequence + 1 == block.first_sequence
                                            ? block.previous_hash
                                            : block.entries[cursor.sequence - block.first_sequence].hash;
  if (before != cursor.hash) {
    cursor = {head->first_sequence - 1, head->first_previous_hash};
    ASSIGN_OR_RETURN(block, storage::ReadJournalBlock(view, org, head->first_block));
  }
  while (true) {
    std::string lines;
    StreamCursor reached = cursor;
    while (true) {
      for (const JournalEntry& entry : block.entries) {
        if (entry.sequence <= cursor.sequence) continue;
        ASSIGN_OR_RETURN(const std::string line, AuditLine(org, entry));
        lines += line;
        reached = {entry.sequence, entry.hash};
      }
      if (block.number == head->last_block || lines.size() >= kBytesPerWrite) break;
      ASSIGN_OR_RETURN(block, storage::ReadJournalBlock(view, org, block.number + 1));
    }
    RETURN_IF_ERROR(sink_->Write(lines));
    cursor = reached;
    unsaved_ = true;
    if (block.number == head->last_block) return absl::OkStatus();
    ASSIGN_OR_RETURN(block, storage::ReadJournalBlock(view, org, block.number + 1));
  }
}

absl::Status AuditStream::Save() {
  if (!sink_->is_file()) return absl::OkStatus();
  // Before the state says that it is there.
  RETURN_IF_ERROR(sink_->Sync());
  ASSIGN_OR_RETURN(state_.place, sink_->FindPlace());
  RETURN_IF_ERROR(state_.Save(state_path_));
  unsaved_ = false;
  return absl::OkStatus();
}

absl::Status AuditStream::RunOnce() {
  std::map<std::string, uint64_t> taken;
  bool reopen = false;
  {
    absl::MutexLock lock(&mutex_);
    taken.swap(waiting_);
    std::swap(reopen, reopen_);
  }
  absl::Status result;
  if (reopen) {
    result = OpenAgain();
    absl::MutexLock lock(&mutex_);
    reopen_ |= !result.ok();
  }
  const auto view = store_->View();
  // What power loss could still take from the journal must not be in the stream.
  if (!taken.empty()) result.Update(store_->Sync());
  for (const auto& [org, announced] : taken) {
    if (result.ok()) result = StreamOrg(*view, org);
    const auto cursor = state_.cursors.find(org);
    const bool reached = cursor == state_.cursors.end() || cursor->second.sequence >= announced;
    if (result.ok() && reached) continue;
    absl::MutexLock lock(&mutex_);
    uint64_t& newest = waiting_[org];
    newest = std::max(newest, announced);
  }
  result.Update(sink_->Flush());
  return result;
}

void AuditStream::Run() {
  bool failing = false;
  absl::Time saved = absl::Now();
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      const absl::Duration wait = failing    ? options_.retry_interval
                                  : unsaved_ ? options_.save_interval
                                             : absl::Hours(1);
      mutex_.AwaitWithTimeout(failing ? absl::Condition(&stopping_) : absl::Condition(this, &AuditStream::HasWork),
                              wait);
      if (stopping_) return;
    }
    absl::Status ran = RunOnce();
    if (ran.ok() && unsaved_ && absl::Now() - saved >= options_.save_interval) {
      ran = Save();
      saved = absl::Now();
    }
    if (!ran.ok() && !failing) Warn("the audit stream fails and is tried again", "", ran.ToString());
    if (ran.ok() && failing && logger_ != nullptr) logger_->Write(LogLevel::kInfo, "the audit stream goes on", {});
    failing = !ran.ok();
    failing_ = failing;
    if (!failing) absl::SleepFor(kRunInterval);
  }
}

}  // namespace keyferry::server
