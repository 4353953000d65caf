#include "server/credentials/parent_counts.h"

#include <algorithm>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/audit/call_record.h"
#include "server/errors.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr size_t kMaxKnownParents = 65536;

std::string CountKey(const std::string& org, const std::string& parent) { return absl::StrCat(org, "/", parent); }

}  // namespace

ParentCounts::ParentCounts(storage::Store* store, storage::Table table, int limit, absl::string_view noun)
    : store_(store), table_(table), limit_(limit), noun_(noun) {}

absl::Status ParentCounts::Take(const std::string& org, const std::string& parent, absl::string_view parent_name,
                                int places) {
  const std::string key = CountKey(org, parent);
  {
    absl::MutexLock lock(&mutex_);
    const auto known = counts_.find(key);
    if (known != counts_.end() && places <= limit_ - known->second) {
      known->second += places;
      return absl::OkStatus();
    }
  }
  ASSIGN_OR_RETURN(const int count, Count(org, parent));
  absl::MutexLock lock(&mutex_);
  if (counts_.size() >= kMaxKnownParents) counts_.clear();
  // Places that others took since the count was read are lost with it, so the limit may be passed by as many creates as
  // run at once.
  int& known = counts_[key];
  known = count;
  if (places <= limit_ - known) {
    known += places;
    return absl::OkStatus();
  }
  v1::ErrorDetail detail;
  detail.set_reason("TOO_MANY");
  detail.set_resource(std::string(parent_name));
  detail.set_next_step(absl::StrCat("Delete ", noun_, " that are no longer needed."));
  return MakeError(absl::StatusCode::kResourceExhausted,
                   places == 1
                       ? absl::StrCat(parent_name, ": holds ", limit_, " ", noun_, " already, the most that it may")
                       : absl::StrCat(parent_name, ": holds ", known, " ", noun_, ", and may not hold ", places,
                                      " more: ", limit_, " is the most"),
                   detail);
}

void ParentCounts::GiveBack(const std::string& org, const std::string& parent, int places) {
  absl::MutexLock lock(&mutex_);
  const auto known = counts_.find(CountKey(org, parent));
  if (known != counts_.end()) known->second = std::max(0, known->second - places);
}

absl::StatusOr<int> ParentCounts::Count(const std::string& org, const std::string& parent) const {
  int count = 0;
  RETURN_IF_ERROR(store_->View()->Scan(table_, org, parent, [&](const storage::Record&) {
    ++count;
    return count < limit_;
  }));
  return count;
}

absl::Status CommitCounted(storage::Store* store, ParentCounts* counts, const Caller& caller, const std::string& org,
                           storage::Mutation mutation) {
  RETURN_IF_ERROR(counts->Take(org, /*parent=*/"", absl::StrCat("orgs/", org)));
  const absl::Status committed = CommitAudited(store, caller, std::move(mutation)).status();
  if (!committed.ok()) counts->GiveBack(org, /*parent=*/"");
  return committed;
}

}  // namespace keyferry::server
