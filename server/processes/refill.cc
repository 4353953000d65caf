#include "server/processes/refill.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "keyferry/v1/audit.pb.h"
#include "server/names.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "server/usage/used_name.h"
#include "storage/journal.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {
namespace {

constexpr absl::Duration kLongestLease = absl::Hours(24);
constexpr size_t kMaxEntries = 100'000;

absl::Time TimeOf(const v1::AuditEntry& entry) {
  return absl::FromUnixSeconds(entry.time().seconds()) + absl::Nanoseconds(entry.time().nanos());
}

bool IsConfirmation(const v1::AuditEntry& entry) { return entry.method() == "ProcessService/ConfirmEnvironment"; }

// It names the process in the place of the resource, and describes one that ended by this call alone.
bool IsEnd(const v1::AuditEntry& entry) { return entry.method() == "ProcessService/DeleteProcess"; }

absl::StatusOr<ResolutionEvent> EventOf(const std::string& org, const v1::AuditEntry& entry) {
  ResolutionEvent event;
  event.org = org;
  event.mcp_server = entry.resource();
  event.principal = entry.principal();
  event.user = entry.user();
  event.session = entry.session();
  event.process = entry.process();
  if (!entry.team().empty()) {
    ASSIGN_OR_RETURN(const ParentName team, ParseParent(entry.team(), "team"));
    event.team = team.id;
  }
  event.revision = entry.revision();
  if (event.revision > 0) event.holding = IsConfirmation(entry) ? Holding::kConfirmed : Holding::kOnceConfirmed;
  for (const v1::AuditedCredential& used : entry.credentials()) {
    ASSIGN_OR_RETURN(UsedCredential credential, ParseUsedName(used.credential()));
    credential.version = used.version();
    event.credentials.push_back(std::move(credential));
  }
  return event;
}

// The entries of processes, newest first, back to the oldest that can still have a lease.
absl::StatusOr<std::vector<v1::AuditEntry>> RecentProcesses(const storage::StoreView& view, const std::string& org,
                                                            absl::Time oldest) {
  ASSIGN_OR_RETURN(const storage::JournalHead head, storage::ReadJournalHead(view, org));
  std::vector<v1::AuditEntry> found;
  size_t seen = 0;
  for (uint64_t number = head.last_block; number >= head.first_block && seen < kMaxEntries; --number) {
    ASSIGN_OR_RETURN(const storage::JournalBlock block, storage::ReadJournalBlock(view, org, number));
    for (auto stored = block.entries.rbegin(); stored != block.entries.rend(); ++stored, ++seen) {
      v1::AuditEntry entry;
      if (!entry.ParseFromString(stored->payload)) return absl::DataLossError("an audit entry does not parse");
      if (TimeOf(entry) < oldest) return found;
      if (entry.code() != 0 || !entry.has_process()) continue;
      if (absl::StartsWith(entry.method(), "ResolutionService/") || IsConfirmation(entry) || IsEnd(entry)) {
        found.push_back(std::move(entry));
      }
    }
  }
  return found;
}

}  // namespace

absl::Status RefillProcesses(const storage::StoreView& view, absl::Time now, ProcessTable* processes) {
  ASSIGN_OR_RETURN(const auto orgs,
                   ScanRecords<storage::records::OrgRecord>(view, storage::Table::kOrg, /*org=*/"", /*parent=*/""));
  for (const auto& org : orgs) {
    auto recent = RecentProcesses(view, org.record.id(), now - kLongestLease);
    // The org was destroyed and its own record is about to go.
    if (absl::IsNotFound(recent.status())) continue;
    RETURN_IF_ERROR(recent.status());
    // A watch renewed its lease, which no entry tells of: it begins anew now.
    absl::flat_hash_set<std::string> watched;
    for (auto entry = recent->rbegin(); entry != recent->rend(); ++entry) {
      if (IsEnd(*entry)) {
        processes->End(entry->resource(), TimeOf(*entry));
        continue;
      }
      ASSIGN_OR_RETURN(const ResolutionEvent event, EventOf(org.record.id(), *entry));
      const std::string name = processes->Observe(event, TimeOf(*entry));
      if (event.revision > 0 && !watched.contains(name) && processes->WatchBegins(name)) watched.insert(name);
    }
    for (const std::string& name : watched) processes->WatchEnds(name, now);
  }
  return absl::OkStatus();
}

}  // namespace keyferry::server
