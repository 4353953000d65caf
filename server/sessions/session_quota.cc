#include "server/sessions/session_quota.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {

namespace records = storage::records;
using storage::Table;

namespace {

absl::Status TooMany(const std::string& resource, size_t limit) {
  v1::ErrorDetail detail;
  detail.set_reason("TOO_MANY");
  detail.set_resource(resource);
  detail.set_next_step("Revoke sessions that are no longer used, or ask for shorter ones.");
  return MakeError(absl::StatusCode::kResourceExhausted,
                   absl::StrCat(resource, ": has ", limit, " sessions that have not ended"), detail);
}

}  // namespace

SessionQuota::SessionQuota(storage::Store* store, SessionLimits limits) : store_(store), limits_(limits) {}

absl::Status SessionQuota::Take(const std::string& org_id, const std::string& session, const std::string& user,
                                int64_t expire_time, int64_t now) {
  const std::shared_ptr<Org> org = OrgOf(org_id);
  absl::MutexLock lock(&org->mutex);
  if (!org->loaded) RETURN_IF_ERROR(Load(org_id, *org, now));
  while (!org->by_expiry.empty() && org->by_expiry.begin()->first <= now) {
    org->Remove(std::string(org->by_expiry.begin()->second));
  }
  std::string full = FullResource(org_id, user, *org);
  if (!full.empty() && org->generation != store_->Generation(Table::kSession)) {
    RETURN_IF_ERROR(Load(org_id, *org, now));
    full = FullResource(org_id, user, *org);
  }
  if (!full.empty()) return TooMany(full, full == user ? limits_.per_user : limits_.per_org);
  org->Add(session, {user, expire_time, /*pending=*/true});
  return absl::OkStatus();
}

void SessionQuota::Keep(const std::string& org_id, const std::string& session) {
  const std::shared_ptr<Org> org = OrgOf(org_id);
  absl::MutexLock lock(&org->mutex);
  const auto found = org->sessions.find(session);
  if (found != org->sessions.end()) found->second.pending = false;
}

void SessionQuota::GiveBack(const std::string& org_id, const std::string& session) {
  const std::shared_ptr<Org> org = OrgOf(org_id);
  absl::MutexLock lock(&org->mutex);
  org->Remove(session);
}

std::shared_ptr<SessionQuota::Org> SessionQuota::OrgOf(const std::string& org) {
  absl::MutexLock lock(&mutex_);
  std::shared_ptr<Org>& found = orgs_[org];
  if (found == nullptr) found = std::make_shared<Org>();
  return found;
}

absl::Status SessionQuota::Load(const std::string& name, Org& org, int64_t now) const {
  const uint64_t generation = store_->Generation(Table::kSession);
  const auto stored = ScanRecords<records::SessionRecord>(*store_->View(), Table::kSession, name, "");
  if (!stored.ok()) return FromStore(stored.status(), absl::StrCat("orgs/", name));
  std::vector<std::pair<std::string, Entry>> pending;
  for (auto& [session, entry] : org.sessions) {
    if (entry.pending) pending.emplace_back(session, std::move(entry));
  }
  org.sessions.clear();
  org.by_user.clear();
  org.by_expiry.clear();
  for (auto& [session, entry] : pending) org.Add(session, std::move(entry));
  for (const auto& session : *stored) {
    if (session.record.expire_time() <= now || org.sessions.contains(session.record.id())) continue;
    org.Add(session.record.id(), {session.record.user(), session.record.expire_time(), /*pending=*/false});
  }
  org.generation = generation;
  org.loaded = true;
  return absl::OkStatus();
}

std::string SessionQuota::FullResource(const std::string& name, const std::string& user, Org& org) const {
  const auto of_user = org.by_user.find(user);
  if (of_user != org.by_user.end() && of_user->second >= limits_.per_user) return user;
  return org.sessions.size() >= limits_.per_org ? absl::StrCat("orgs/", name) : "";
}

void SessionQuota::Org::Add(const std::string& session, Entry entry) {
  ++by_user[entry.user];
  by_expiry.emplace(entry.expire_time, session);
  sessions.insert_or_assign(session, std::move(entry));
}

void SessionQuota::Org::Remove(const std::string& session) {
  const auto found = sessions.find(session);
  if (found == sessions.end()) return;
  const auto of_user = by_user.find(found->second.user);
  if (--of_user->second == 0) by_user.erase(of_user);
  by_expiry.erase({found->second.expire_time, session});
  sessions.erase(found);
}

}  // namespace keyferry::server
