#include "server/sessions/session_sweeper.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <utility>

#include "server/log.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {

namespace records = storage::records;
using storage::Durability;
using storage::Table;

SessionSweeper::SessionSweeper(storage::Store* store, Clock clock) : store_(store), clock_(std::move(clock)) {}

absl::StatusOr<int> SessionSweeper::RunOnce() {
  const int64_t now = absl::ToUnixNanos(clock_());
  // Before the view, so that what is made meanwhile is looked at the next time.
  const uint64_t generation = store_->Generation(Table::kSession);
  if (swept_generation_ == generation && now < next_due_) return 0;
  const std::unique_ptr<storage::StoreView> view = store_->View();
  ASSIGN_OR_RETURN(const auto orgs, ScanRecords<records::OrgRecord>(*view, Table::kOrg, "", ""));
  next_due_ = std::numeric_limits<int64_t>::max();
  swept_generation_.reset();
  found_ = 0;
  int removed = 0;
  for (const auto& org : orgs) {
    const absl::StatusOr<int> swept = SweepOrg(*view, org.record.id(), now);
    // The org was destroyed and its own record is about to go.
    if (absl::IsNotFound(swept.status())) continue;
    RETURN_IF_ERROR(swept.status());
    removed += *swept;
  }
  swept_generation_ = generation;
  live_ = found_;
  return removed;
}

absl::StatusOr<int> SessionSweeper::SweepOrg(const storage::StoreView& view, const std::string& org, int64_t now) {
  storage::Mutation mutation;
  int removed = 0;
  absl::Status decoded;
  RETURN_IF_ERROR(view.Scan(Table::kSession, org, "", [&](storage::Record stored) {
    records::SessionRecord session;
    decoded = storage::ParseSecretInto(stored.payload, session);
    if (!decoded.ok()) return false;
    if (session.expire_time() > now) {
      next_due_ = std::min(next_due_, session.expire_time());
      ++found_;
    } else {
      // A session never changes, so its revision does not matter.
      mutation.Delete({Table::kSession, org, "", session.id()}, std::nullopt);
      ++removed;
    }
    return true;
  }));
  RETURN_IF_ERROR(decoded);
  // What a crash undoes is swept again.
  if (removed > 0) RETURN_IF_ERROR(store_->Commit(mutation, Durability::kBuffered).status());
  return removed;
}

BackgroundSessionSweeper::BackgroundSessionSweeper(storage::Store* store, Clock clock, Logger* logger,
                                                   absl::Duration interval)
    : sweeper_(store, std::move(clock)), logger_(logger), interval_(interval), thread_([this] { Run(); }) {}

BackgroundSessionSweeper::~BackgroundSessionSweeper() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

void BackgroundSessionSweeper::Run() {
  while (true) {
    const absl::StatusOr<int> removed = sweeper_.RunOnce();
    if (!removed.ok() && logger_ != nullptr) {
      logger_->Write(LogLevel::kError, "ended sessions could not be removed", {{"error", removed.status().ToString()}});
    }
    absl::MutexLock lock(&mutex_);
    if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), interval_)) return;
  }
}

}  // namespace keyferry::server
