// How a RefreshScheduler learns what is in the store.
#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/strip.h"
#include "keyferry/v1/connections.pb.h"
#include "server/oauth/connection_records.h"
#include "server/oauth/refresh/loaded_connection.h"
#include "server/oauth/refresh/refresh_scheduler.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using State = Schedule::State;
using storage::Table;

// Deleted connections that are remembered, lest their last change makes everything be read again.
constexpr size_t kMaxGone = 4096;
constexpr size_t kScanPart = 256;

}  // namespace

struct RefreshScheduler::Found {
  storage::WatchKey watch_key;
  ConnectionKey key;
  records::ConnectionRecord record;
};

void RefreshScheduler::Changed(const ConnectionKey& key) {
  context_.queue->Post([this, key] {
    const absl::Status status = RelookAt(*context_.store->View(), key);
    if (!status.ok()) LogError("a connection cannot be read", status);
    Turn();
  });
}

void RefreshScheduler::OnChange(const storage::StoreChange& change) {
  absl::MutexLock lock(&mutex_);
  noticed_ = std::max(noticed_, change.revision);
  const bool idle = changed_.empty();
  for (const storage::StoreChange::Touched& touched : change.records) {
    if (touched.table == Table::kConnection) {
      OnConnection(touched.key, change.revision);
    } else if (touched.table == Table::kOrg) {
      const auto org = orgs_.find(touched.key);
      if (org != orgs_.end()) context_.queue->Post([this, name = org->second] { ScanOrg(name); });
    } else if (touched.table == Table::kOauthProvider) {
      const auto line = providers_.find(touched.key);
      if (line == providers_.end()) continue;
      context_.queue->Post([this, org = schedule_.OrgOf(line->second), provider = schedule_.ProviderOf(line->second)] {
        RereadProvider(org, provider);
      });
    } else if (touched.table == Table::kUser) {
      users_.insert(touched.key);
      Later();
    }
  }
  if (idle && !changed_.empty()) context_.queue->Post([this] { Relook(); });
}

void RefreshScheduler::OnConnection(const storage::WatchKey& key, storage::Revision revision) {
  const std::optional<Index> index = schedule_.Find(key);
  if (!index.has_value()) {
    const auto gone = gone_.find(key);
    if (gone != gone_.end() && revision <= gone->second) return;
    unknown_[key] = revision;
    return Later();
  }
  const Schedule::Entry& entry = schedule_.at(*index);
  if (revision <= entry.seen) return;
  if (entry.state == State::kRunning) {
    flights_[*index].touched = std::max(flights_[*index].touched, revision);
  } else if (entry.state == State::kWaiting) {
    context_.queue->Post([this, key] { Retry(key); });
  } else {
    changed_.push_back(key);
  }
}

void RefreshScheduler::NoteGone(const storage::WatchKey& key, storage::Revision revision) {
  if (gone_.size() >= kMaxGone) gone_.clear();
  gone_[key] = revision;
  const auto unknown = unknown_.find(key);
  if (unknown != unknown_.end() && unknown->second <= revision) unknown_.erase(unknown);
}

void RefreshScheduler::Later() {
  if (later_) return;
  later_ = true;
  context_.queue->PostAt(context_.monotonic_clock() + context_.options.debounce, [this] { OnLater(); });
}

void RefreshScheduler::OnLater() {
  absl::flat_hash_set<storage::WatchKey> users;
  bool scan = false;
  {
    absl::MutexLock lock(&mutex_);
    later_ = false;
    users.swap(users_);
    scan = std::any_of(unknown_.begin(), unknown_.end(), [this](const auto& unknown) ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return !schedule_.Find(unknown.first).has_value();
    });
    unknown_.clear();
  }
  if (!users.empty()) LookAtUsers(users);
  if (scan) ScanAll();
  Turn();
}

void RefreshScheduler::Relook() {
  std::vector<ConnectionKey> changed;
  {
    absl::MutexLock lock(&mutex_);
    for (const storage::WatchKey& key : changed_) {
      const std::optional<Index> index = schedule_.Find(key);
      if (index.has_value()) changed.push_back(schedule_.KeyOf(*index));
    }
    changed_.clear();
  }
  const auto view = context_.store->View();
  for (const ConnectionKey& key : changed) {
    const absl::Status status = RelookAt(*view, key);
    if (!status.ok()) LogError("a connection cannot be read", status);
  }
  Turn();
}

absl::Status RefreshScheduler::RelookAt(const storage::StoreView& view, const ConnectionKey& key) {
  Found found;
  found.key = key;
  const auto watch_key = view.WatchKeyOf(ConnectionRecordKey(Table::kConnection, key));
  // The organization is gone, which its own record tells.
  if (absl::IsNotFound(watch_key.status())) return absl::OkStatus();
  RETURN_IF_ERROR(watch_key.status());
  found.watch_key = *watch_key;
  ASSIGN_OR_RETURN(auto stored,
                   ReadRecord<records::ConnectionRecord>(view, ConnectionRecordKey(Table::kConnection, key)));
  if (stored.has_value()) {
    found.record = std::move(stored->record);
    bool known = false;
    {
      absl::MutexLock lock(&mutex_);
      known = schedule_.FindLine(key.org, key.provider).has_value();
      Merge(found, view.revision());
    }
    return known ? absl::OkStatus() : ReadProviderOf(view, key.org, key.provider);
  }
  absl::MutexLock lock(&mutex_);
  const std::optional<Index> index = schedule_.Find(found.watch_key);
  NoteGone(found.watch_key, view.revision());
  // Others are found to be gone when they run.
  if (!index.has_value() || flights_.contains(*index) || schedule_.at(*index).seen > view.revision()) {
    return absl::OkStatus();
  }
  schedule_.Remove(*index);
  return absl::OkStatus();
}

void RefreshScheduler::Merge(const Found& found, storage::Revision revision) {
  const std::optional<Index> known = schedule_.Find(found.watch_key);
  if (!known.has_value()) {
    const auto gone = gone_.find(found.watch_key);
    if (gone != gone_.end() && gone->second >= revision) return;
  }
  const Index index = known.has_value() ? *known : schedule_.Add(found.watch_key, found.key);
  Schedule::Entry& entry = schedule_.at(index);
  if (entry.seen > revision) return;
  entry.seen = revision;
  entry.failing = found.record.failure_count() > 0;
  const absl::Time monotonic_now = context_.monotonic_clock();
  const absl::Duration pause = PauseLeft(found.record, schedule_.ProviderUpdateTime(entry.line), context_.clock());
  schedule_.Pause(entry.line, monotonic_now + pause, monotonic_now);
  entry.connect_needed = found.record.state() == v1::CONNECTION_STATE_CONNECT_NEEDED;
  if (entry.state != State::kIdle) return;
  schedule_.SetDue(index, NextLook(found.record, schedule_.ProviderUpdateTime(entry.line), context_.clock(),
                                   context_.options.look_interval, context_.random()));
}

void RefreshScheduler::ScanAll() {
  const auto view = context_.store->View();
  const auto orgs = ScanRecords<records::OrgRecord>(*view, Table::kOrg, "", "");
  absl::Status status = orgs.status();
  // One that cannot be read does not keep the others from being looked after.
  for (size_t i = 0; orgs.ok() && i < orgs->size(); ++i) status.Update(ReadOrg(*view, (*orgs)[i].record.id()));
  if (!status.ok()) LogError("connections cannot be read", status);
  {
    absl::MutexLock lock(&mutex_);
    scanned_ = true;
    if (status.ok()) {
      Forget(view->revision(), /*org=*/nullptr);
    } else {
      // Once more, soon.
      unknown_[storage::WatchKey()] = view->revision();
      Later();
    }
  }
  Turn();
}

void RefreshScheduler::ScanOrg(const std::string& org) {
  const auto view = context_.store->View();
  const auto exists = view->Contains({Table::kOrg, "", "", org});
  // A deleted organization's connections are not found, and so forgotten, also while they are still there.
  const absl::Status status = !exists.ok() ? exists.status() : *exists ? ReadOrg(*view, org) : absl::OkStatus();
  if (!status.ok()) {
    LogError("connections cannot be read", status);
  } else {
    absl::MutexLock lock(&mutex_);
    Forget(view->revision(), &org);
  }
  Turn();
}

absl::StatusOr<RefreshScheduler::Found> RefreshScheduler::FoundOf(const storage::StoreView& view,
                                                                  const std::string& org,
                                                                  const storage::Record& stored) {
  Found found;
  RETURN_IF_ERROR(storage::ParseSecretInto(stored.payload, found.record));
  found.key = {org, found.record.parent(), found.record.id()};
  ASSIGN_OR_RETURN(found.watch_key, view.WatchKeyOf(ConnectionRecordKey(Table::kConnection, found.key)));
  return found;
}

absl::Status RefreshScheduler::ReadOrg(const storage::StoreView& view, const std::string& org) {
  std::vector<Found> some;
  absl::flat_hash_set<std::string> providers;
  // The first error: one record that cannot be read does not keep the others from being looked after.
  absl::Status status;
  // A part at a time, so that neither memory nor the time under the lock grows with the organization.
  const auto take = [&] {
    for (const Found& found : some) {
      if (!providers.insert(found.key.provider).second) continue;
      status.Update(ReadProviderOf(view, org, found.key.provider));
    }
    absl::MutexLock lock(&mutex_);
    for (const Found& found : some) Merge(found, view.revision());
    some.clear();
  };
  const absl::Status scanned = view.ScanAll(Table::kConnection, org, [&](storage::Record stored) {
    absl::StatusOr<Found> found = FoundOf(view, org, stored);
    if (found.ok()) {
      some.push_back(*std::move(found));
    } else {
      status.Update(found.status());
    }
    if (some.size() == kScanPart) take();
    return true;
  });
  take();
  status.Update(scanned);
  // Destroyed meanwhile.
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

void RefreshScheduler::Forget(storage::Revision revision, const std::string* org) {
  std::vector<Index> missing;
  schedule_.ForEach([&](Index index, const Schedule::Entry& entry) ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const bool meant = org == nullptr || schedule_.OrgOf(entry.line) == *org;
    if (meant && entry.seen < revision && !flights_.contains(index)) missing.push_back(index);
  });
  for (const Index index : missing) schedule_.Remove(index);
}

absl::Status RefreshScheduler::ReadProviderOf(const storage::StoreView& view, const std::string& org,
                                              const std::string& provider) {
  ASSIGN_OR_RETURN(const storage::WatchKey key, view.WatchKeyOf(ProviderKey(org, provider)));
  ASSIGN_OR_RETURN(const storage::WatchKey org_key, view.WatchKeyOf({Table::kOrg, "", "", org}));
  ASSIGN_OR_RETURN(const auto stored, view.Get(ProviderKey(org, provider)));
  double rate = 0;
  int64_t update_time = 0;
  int64_t endpoint_epoch = 0;
  if (stored.has_value()) {
    storage::Wiped<records::OauthProviderRecord> record;
    RETURN_IF_ERROR(storage::ParseSecretInto(stored->payload, *record));
    ASSIGN_OR_RETURN(const auto definition, DefinitionOf(*record));
    rate = definition->provider.refresh().max_per_second();
    update_time = record->update_time();
    endpoint_epoch = record->endpoint_epoch();
  }
  absl::MutexLock lock(&mutex_);
  const uint32_t line = schedule_.LineOf(org, provider);
  orgs_[org_key] = org;
  providers_[key] = line;
  schedule_.SetProvider(line, rate, update_time, context_.monotonic_clock());
  const auto [known, first] = endpoint_epochs_.try_emplace(line, endpoint_epoch);
  if (!first && known->second != endpoint_epoch) {
    known->second = endpoint_epoch;
    MakeDue(line, /*failing_only=*/false);
  }
  return absl::OkStatus();
}

void RefreshScheduler::MakeDue(uint32_t line, bool failing_only) {
  std::vector<Index> due;
  schedule_.ForEach([&](Index index, const Schedule::Entry& entry) {
    if (entry.line == line && (entry.failing || !failing_only) && entry.state == State::kIdle) due.push_back(index);
  });
  for (const Index index : due) schedule_.SetDue(index, context_.clock());
}

void RefreshScheduler::RereadProvider(const std::string& org, const std::string& provider) {
  const absl::Status status = ReadProviderOf(*context_.store->View(), org, provider);
  if (!status.ok()) {
    // Those of an organization that is going are forgotten with it.
    if (!absl::IsNotFound(status)) LogError("an OAuth provider cannot be read", status);
    return;
  }
  {
    absl::MutexLock lock(&mutex_);
    // Whether the change may have repaired them, each finds out by itself.
    MakeDue(schedule_.LineOf(org, provider), /*failing_only=*/true);
  }
  Turn();
}

void RefreshScheduler::LookAtUsers(const absl::flat_hash_set<storage::WatchKey>& users) {
  std::vector<std::pair<storage::WatchKey, ConnectionKey>> personal;
  {
    absl::MutexLock lock(&mutex_);
    schedule_.ForEach([&](Index index, const Schedule::Entry& entry) ABSL_NO_THREAD_SAFETY_ANALYSIS {
      if (absl::StartsWith(entry.parent, "users/")) personal.emplace_back(entry.key, schedule_.KeyOf(index));
    });
  }
  const auto view = context_.store->View();
  std::vector<storage::WatchKey> touched;
  for (const auto& [key, connection] : personal) {
    const std::string user(absl::StripPrefix(connection.parent, "users/"));
    const auto user_key = view->WatchKeyOf({Table::kUser, connection.org, "", user});
    if (user_key.ok() && users.contains(*user_key)) touched.push_back(key);
  }
  absl::MutexLock lock(&mutex_);
  for (const storage::WatchKey& key : touched) {
    const std::optional<Index> index = schedule_.Find(key);
    if (index.has_value() && schedule_.at(*index).state == State::kIdle) {
      schedule_.SetDue(*index, context_.clock());
    }
  }
}

void RefreshScheduler::LogError(absl::string_view message, const absl::Status& status) const {
  if (context_.logger != nullptr) context_.logger->Write(LogLevel::kError, message, {{"error", status.ToString()}});
}

}  // namespace keyferry::server
