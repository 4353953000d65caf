#include "server/credentials/previous_sweeper.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "server/log.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Durability;
using storage::Table;

}  // namespace

PreviousSweeper::PreviousSweeper(storage::Store* store, Clock clock) : store_(store), clock_(std::move(clock)) {}

absl::StatusOr<int> PreviousSweeper::RunOnce() {
  const absl::Time now = clock_();
  // Before the view, so that what is rotated meanwhile is looked at the next time.
  const uint64_t generation = store_->Generation(Table::kPreviousValue);
  if (swept_generation_ == generation && now < next_due_) return 0;
  const std::unique_ptr<storage::StoreView> view = store_->View();
  ASSIGN_OR_RETURN(const auto orgs, ScanRecords<records::OrgRecord>(*view, Table::kOrg, "", ""));
  next_due_ = absl::InfiniteFuture();
  swept_generation_.reset();
  int destroyed = 0;
  for (const auto& org : orgs) {
    const absl::StatusOr<int> swept = SweepOrg(*view, org.record.id(), now);
    // The org was destroyed and its own record is about to go.
    if (absl::IsNotFound(swept.status())) continue;
    RETURN_IF_ERROR(swept.status());
    destroyed += *swept;
  }
  if (destroyed > 0) RETURN_IF_ERROR(store_->Sync());
  swept_generation_ = generation;
  return destroyed;
}

absl::StatusOr<int> PreviousSweeper::SweepOrg(const storage::StoreView& view, const std::string& org, absl::Time now) {
  std::vector<Due> all_due;
  absl::Status decoded;
  RETURN_IF_ERROR(view.ScanAll(Table::kPreviousValue, org, [&](storage::Record stored) {
    storage::Wiped<records::ValueRecord> value;
    decoded = storage::ParseSecretInto(stored.payload, *value);
    if (!decoded.ok()) return false;
    const absl::Time due = absl::FromUnixNanos(value->destroy_time());
    if (due <= now) {
      all_due.push_back({value->parent(), value->id(), stored.revision});
    } else {
      next_due_ = std::min(next_due_, due);
    }
    return true;
  }));
  RETURN_IF_ERROR(decoded);
  int destroyed = 0;
  for (const Due& due : all_due) {
    const absl::Status status = Destroy(view, org, due, now);
    if (absl::IsAborted(status)) {
      next_due_ = now;
      continue;
    }
    RETURN_IF_ERROR(status);
    ++destroyed;
  }
  return destroyed;
}

absl::Status PreviousSweeper::Destroy(const storage::StoreView& view, const std::string& org, const Due& due,
                                      absl::Time now) {
  storage::Mutation mutation;
  mutation.Delete({Table::kPreviousValue, org, due.parent, due.id}, due.revision);
  const storage::RecordKey key = {Table::kCredential, org, due.parent, due.id};
  ASSIGN_OR_RETURN(auto credential, ReadRecord<records::CredentialRecord>(view, key));
  if (credential.has_value() && credential->record.previous_destroy_time() <= absl::ToUnixNanos(now)) {
    // Not a change that anybody can see: the version was no longer shown. So the etag stays.
    credential->record.set_previous_version(0);
    credential->record.set_previous_destroy_time(0);
    mutation.Put(key, storage::SerializeSecret(credential->record), credential->version, credential->revision);
  }
  return store_->Commit(mutation, Durability::kBuffered).status();
}

BackgroundSweeper::BackgroundSweeper(storage::Store* store, Clock clock, Logger* logger, absl::Duration interval)
    : sweeper_(store, std::move(clock)), logger_(logger), interval_(interval), thread_([this] { Run(); }) {}

BackgroundSweeper::~BackgroundSweeper() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void BackgroundSweeper::Run() {
  while (true) {
    const absl::StatusOr<int> destroyed = sweeper_.RunOnce();
    if (!destroyed.ok() && logger_ != nullptr) {
      logger_->Write(LogLevel::kError, "previous versions could not be destroyed",
                     {{"error", destroyed.status().ToString()}});
    }
    absl::MutexLock lock(&mutex_);
    if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), interval_)) return;
  }
}

}  // namespace keyferry::server
