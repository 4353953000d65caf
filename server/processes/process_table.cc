#include "server/processes/process_table.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "openssl/sha.h"
#include "server/processes/process_info.h"
#include "server/usage/used_name.h"

namespace keyferry::server {
namespace {

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  google::protobuf::Timestamp timestamp;
  const int64_t nanos = absl::ToUnixNanos(time);
  timestamp.set_seconds(nanos / 1'000'000'000);
  timestamp.set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
  return timestamp;
}

// The same process id of another principal, or for another MCP server, is another record.
std::string NameOf(const ResolutionEvent& event) {
  const std::string owner = absl::StrCat(event.principal, "\n", event.mcp_server);
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const uint8_t*>(owner.data()), owner.size(), digest);
  const absl::string_view first(reinterpret_cast<const char*>(digest), 8);
  return absl::StrCat("orgs/", event.org, "/processes/", event.process.process_id(), ".",
                      absl::BytesToHexString(first));
}

// Of a name that NameOf made.
absl::string_view OrgOf(absl::string_view name) {
  constexpr size_t kStart = sizeof("orgs/") - 1;
  return name.size() < kStart ? "" : name.substr(kStart, name.find('/', kStart) - kStart);
}

std::shared_ptr<const v1::Process> ToProcess(const std::string& name, const ResolutionEvent& event, absl::Time now,
                                             const v1::Process* before) {
  auto process = std::make_shared<v1::Process>();
  process->set_name(name);
  *process->mutable_info() = event.process;
  process->set_mcp_server(event.mcp_server);
  process->set_principal(event.principal);
  process->set_session(event.session);
  process->set_user(event.user);
  for (const UsedCredential& used : event.credentials) {
    const std::string credential = UsedName(event.org, used);
    auto* held = process->mutable_credentials();
    auto found = std::find_if(held->begin(), held->end(),
                              [&](const v1::HeldCredential& one) { return one.credential() == credential; });
    v1::HeldCredential* one = found == held->end() ? process->add_credentials() : &*found;
    one->set_credential(credential);
    one->set_version(used.version);
    if (!used.variable.empty()) one->add_variables(used.variable);
  }
  *process->mutable_update_time() = ToTimestamp(now);
  *process->mutable_start_time() = before == nullptr ? process->update_time() : before->start_time();
  return process;
}

// But for the revision and what the process says of itself.
bool SaysTheSame(const ResolutionEvent& a, const ResolutionEvent& b) {
  return a.user == b.user && a.team == b.team && a.session == b.session && a.credentials == b.credentials;
}

}  // namespace

struct ProcessTable::Entry {
  std::string name;
  Org* org = nullptr;
  Principal* principal = nullptr;
  std::shared_ptr<const v1::Process> process;
  absl::Time update_time;
  absl::Duration lease;
  absl::Time expire = absl::InfiniteFuture();
  int watches = 0;
  // It holds nothing, and nobody is shown it.
  bool ended = false;
  // The revision that was confirmed last; 0 if none was.
  int64_t confirmed = 0;
  // When what it holds was given out.
  absl::Time given_time;
  // By revision: what was confirmed last, and what waits. Those that differ in the revision alone share one event,
  // whose own revision says nothing: a client that names revisions to resume from makes the table hold no more.
  struct Sent {
    std::shared_ptr<const ResolutionEvent> event;
    absl::Time time;
  };
  std::map<int64_t, Sent> sent;

  void NoteSent(const ResolutionEvent& event, absl::Time now) {
    if (event.revision < confirmed) return;
    const auto same =
        std::find_if(sent.begin(), sent.end(), [&](const auto& one) { return SaysTheSame(*one.second.event, event); });
    std::shared_ptr<const ResolutionEvent> shared =
        same == sent.end() ? std::make_shared<const ResolutionEvent>(event) : same->second.event;
    sent.insert_or_assign(event.revision, Sent{std::move(shared), now});
    auto oldest = sent.begin();
    const bool keeps_confirmed = oldest->first == confirmed;
    if (keeps_confirmed) ++oldest;
    if (sent.size() > kMaxSent + (keeps_confirmed ? 1 : 0)) sent.erase(oldest);
  }
  void NoteConfirmed(int64_t revision) {
    confirmed = revision;
    sent.erase(sent.begin(), sent.lower_bound(revision));
    const auto known = sent.find(revision);
    if (known != sent.end()) given_time = known->second.time;
  }
};

ProcessTable::ProcessTable() : ProcessTable(Limits()) {}

ProcessTable::ProcessTable(Limits limits) : limits_(limits) {}

ProcessTable::~ProcessTable() = default;

std::string ProcessTable::Observe(const ResolutionEvent& event, absl::Time now) {
  if (event.process.process_id().empty()) return "";
  const std::string name = NameOf(event);
  absl::MutexLock lock(&mutex_);
  Prune(now);
  Entry* entry = Find(name);
  if (entry != nullptr) {
    // 64 bits of a hash stand for the owner: whoever made two owners collide gains nothing.
    if (entry->process->principal() != event.principal || entry->process->mcp_server() != event.mcp_server) return "";
    if (event.holding == Holding::kNow && now < entry->update_time) return name;
    if (event.holding == Holding::kConfirmed && event.revision < entry->confirmed) return name;
  } else {
    entry = Add(name, event);
    if (entry == nullptr) return "";
  }
  const bool known = event.holding == Holding::kNow ||
                     (event.holding == Holding::kConfirmed && entry->sent.count(event.revision) != 0);
  if (!known) entry->NoteSent(event, now);
  if (event.holding != Holding::kOnceConfirmed) entry->ended = false;
  if (event.holding == Holding::kConfirmed) {
    entry->NoteConfirmed(event.revision);
    Hold(entry, event, now);
  } else if (event.holding == Holding::kNow) {
    entry->given_time = now;
    Hold(entry, event, now);
  } else if (entry->process == nullptr) {
    ResolutionEvent nothing = event;
    nothing.credentials.clear();
    Hold(entry, nothing, now);
  }
  entry->lease = LeaseOf(event.process);
  if (entry->watches == 0) StartLease(entry, now);
  return name;
}

std::optional<v1::ProcessInfo> ProcessTable::End(const std::string& name, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  Prune(now);
  Entry* const entry = Find(name);
  if (entry == nullptr || entry->ended) return std::nullopt;
  SetHolds(entry, false);
  auto ended = std::make_shared<v1::Process>(*entry->process);
  ended->clear_credentials();
  entry->process = std::move(ended);
  entry->ended = true;
  if (entry->watches == 0) StartLease(entry, now);
  return entry->process->info();
}

ProcessTable::Entry* ProcessTable::Add(const std::string& name, const ResolutionEvent& event) {
  Org& org = orgs_[event.org];
  Principal& principal = org.principals[event.principal];
  if (!MakeRoom(&org, &principal)) {
    if (principal.count == 0) org.principals.erase(event.principal);
    if (org.entries.empty()) orgs_.erase(event.org);
    return nullptr;
  }
  std::unique_ptr<Entry>& added = org.entries[name];
  added = std::make_unique<Entry>();
  added->name = name;
  added->org = &org;
  added->principal = &principal;
  ++principal.count;
  ++total_;
  return added.get();
}

void ProcessTable::Hold(Entry* entry, const ResolutionEvent& event, absl::Time now) {
  if (entry->process != nullptr) SetHolds(entry, false);
  entry->process = ToProcess(entry->name, event, now, entry->process.get());
  // The clock may have been set back.
  entry->update_time = std::max(entry->update_time, now);
  SetHolds(entry, true);
}

std::string ProcessTable::PrincipalOf(const std::string& name, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  Prune(now);
  const Entry* const entry = Find(name);
  return entry == nullptr ? "" : entry->process->principal();
}

std::optional<ResolutionEvent> ProcessTable::SentTo(const std::string& name, int64_t revision) {
  absl::MutexLock lock(&mutex_);
  const Entry* const entry = Find(name);
  if (entry == nullptr) return std::nullopt;
  const auto sent = entry->sent.find(revision);
  if (sent == entry->sent.end()) return std::nullopt;
  ResolutionEvent event = *sent->second.event;
  event.revision = revision;
  event.holding = Holding::kConfirmed;
  event.process.set_pid(entry->process->info().pid());
  return event;
}

bool ProcessTable::WatchBegins(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  Entry* const entry = Find(name);
  if (entry == nullptr) return false;
  ++entry->watches;
  Dequeue(entry);
  return true;
}

void ProcessTable::WatchEnds(const std::string& name, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  Entry* const entry = Find(name);
  if (entry == nullptr || entry->watches == 0 || --entry->watches > 0) return;
  StartLease(entry, now);
}

std::vector<LiveProcess> ProcessTable::List(absl::string_view org, absl::string_view mcp_server, absl::Time now) {
  std::vector<LiveProcess> found;
  absl::MutexLock lock(&mutex_);
  Prune(now);
  const auto known = orgs_.find(org);
  if (known == orgs_.end()) return found;
  for (const auto& [name, entry] : known->second.entries) {
    if (entry->ended || (!mcp_server.empty() && entry->process->mcp_server() != mcp_server)) continue;
    found.push_back({entry->process, entry->watches > 0 ? now + entry->lease : entry->expire, entry->watches > 0,
                     entry->given_time});
  }
  return found;
}

std::vector<LiveProcess> ProcessTable::Holders(absl::string_view org, const std::string& credential, absl::Time now) {
  std::vector<LiveProcess> found;
  absl::MutexLock lock(&mutex_);
  Prune(now);
  const auto known = orgs_.find(org);
  if (known == orgs_.end()) return found;
  const auto holders = known->second.holders.find(credential);
  if (holders == known->second.holders.end()) return found;
  for (const Entry* entry : holders->second) {
    found.push_back({entry->process, entry->watches > 0 ? now + entry->lease : entry->expire, entry->watches > 0,
                     entry->given_time});
  }
  return found;
}

size_t ProcessTable::size() const {
  absl::MutexLock lock(&mutex_);
  return total_;
}

void ProcessTable::Prune(absl::Time now) {
  while (!queue_.empty() && queue_.begin()->first <= now) {
    Entry* const entry = queue_.begin()->second;
    Org* const org = entry->org;
    const std::string principal = entry->process->principal();
    const std::string org_id(OrgOf(entry->name));
    Remove(entry);
    if (org->principals[principal].count == 0) org->principals.erase(principal);
    if (org->entries.empty()) orgs_.erase(org_id);
  }
}

bool ProcessTable::MakeRoom(Org* org, Principal* principal) {
  const bool own_full = principal->count >= limits_.per_principal;
  if (!own_full && org->entries.size() < limits_.per_org && total_ < limits_.total) return true;
  Principal* giver = principal;
  if (!own_full) {
    for (auto& [name, other] : org->principals) {
      if (other.count > giver->count && !other.queue.empty()) giver = &other;
    }
  }
  if (giver->queue.empty()) return false;
  Remove(giver->queue.begin()->second);
  return true;
}

void ProcessTable::Remove(Entry* entry) {
  Dequeue(entry);
  SetHolds(entry, false);
  --entry->principal->count;
  --total_;
  Org* const org = entry->org;
  const std::string name = entry->name;
  org->entries.erase(name);
}

void ProcessTable::SetHolds(Entry* entry, bool holds) {
  for (const v1::HeldCredential& held : entry->process->credentials()) {
    if (holds) {
      entry->org->holders[held.credential()].insert(entry);
      continue;
    }
    const auto found = entry->org->holders.find(held.credential());
    found->second.erase(entry);
    if (found->second.empty()) entry->org->holders.erase(found);
  }
}

void ProcessTable::Enqueue(Entry* entry, absl::Time expire) {
  Dequeue(entry);
  entry->expire = expire;
  entry->principal->queue.insert({expire, entry});
  queue_.insert({expire, entry});
}

void ProcessTable::StartLease(Entry* entry, absl::Time now) {
  Enqueue(entry, now + (entry->ended ? kRemembered : entry->lease));
}

void ProcessTable::Dequeue(Entry* entry) {
  entry->principal->queue.erase({entry->expire, entry});
  queue_.erase({entry->expire, entry});
}

ProcessTable::Entry* ProcessTable::Find(const std::string& name) {
  const auto org = orgs_.find(OrgOf(name));
  if (org == orgs_.end()) return nullptr;
  const auto entry = org->second.entries.find(name);
  return entry == org->second.entries.end() ? nullptr : entry->second.get();
}

}  // namespace keyferry::server
