#include "server/audit/audit_rules.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/access/access.h"
#include "server/audit/audit_filter.h"
#include "server/errors.h"
#include "server/names.h"
#include "server/status_macros.h"
#include "storage/journal.h"

namespace keyferry::server {
namespace {

using storage::JournalBlock;
using storage::JournalEntry;
using storage::JournalHead;

// Entries stand in the order in which their calls ended and tell when they began; further apart than this no call is.
constexpr absl::Duration kLongestCall = absl::Hours(24);

absl::StatusOr<std::string> AuthorizeLog(const Caller& caller, Action action, absl::string_view parent) {
  ASSIGN_OR_RETURN(const ParentName name, ParseParent(parent, "parent"));
  if (name.kind != ParentName::kOrg) {
    return InvalidField("parent", "not an organization", "Use the form orgs/{org}.");
  }
  RETURN_IF_ERROR(Authorize(caller, action, {ResourceKind::kAuditLog, name.org, "", "", name.Name()}));
  return name.org;
}

v1::AuditHead ToProto(const JournalHead& head) {
  v1::AuditHead proto;
  proto.set_sequence(static_cast<int64_t>(head.last_sequence));
  proto.set_hash(head.hash.data(), head.hash.size());
  proto.set_first_sequence(static_cast<int64_t>(head.first_sequence));
  proto.set_first_previous_hash(head.first_previous_hash.data(), head.first_previous_hash.size());
  return proto;
}

absl::StatusOr<v1::AuditEntry> Decode(const JournalEntry& stored) {
  v1::AuditEntry entry;
  if (!entry.ParseFromString(stored.payload)) return absl::DataLossError("an audit entry does not parse");
  entry.set_sequence(static_cast<int64_t>(stored.sequence));
  entry.set_hash(stored.hash.data(), stored.hash.size());
  return entry;
}

// The last sequence of a block after which no call began before `until`; the newest of all if there is none.
absl::StatusOr<uint64_t> LastBefore(const storage::StoreView& view, const std::string& org, const JournalHead& head,
                                    absl::Time until) {
  if (until == absl::InfiniteFuture() || head.first_block > head.last_block) return head.last_sequence;
  uint64_t low = head.first_block;
  uint64_t high = head.last_block;
  uint64_t last = head.last_sequence;
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    ASSIGN_OR_RETURN(const JournalBlock block, storage::ReadJournalBlock(view, org, middle));
    ASSIGN_OR_RETURN(const v1::AuditEntry first, Decode(block.entries.front()));
    if (TimeOf(first) - kLongestCall > until) {
      high = middle;
      last = block.last_sequence();
    } else {
      low = middle + 1;
    }
  }
  return last;
}

// Walks from one entry to the older ones.
class Backwards {
 public:
  Backwards(const storage::StoreView& view, std::string org, const JournalHead& head, uint64_t sequence)
      : view_(view), org_(std::move(org)), head_(head), next_(std::min(sequence, head.last_sequence)) {}

  // The sequence that Next answers; at the end, one that is no longer kept, or 0.
  uint64_t next_sequence() const { return next_; }
  bool AtEnd() const { return next_ < head_.first_sequence || next_ == 0; }

  absl::StatusOr<v1::AuditEntry> Next() {
    if (!block_.has_value()) {
      ASSIGN_OR_RETURN(block_, storage::FindJournalBlock(view_, org_, head_, next_));
    } else if (next_ < block_->first_sequence) {
      ASSIGN_OR_RETURN(block_, storage::ReadJournalBlock(view_, org_, block_->number - 1));
      if (block_->last_sequence() != next_) return absl::DataLossError("the blocks of a journal are not in order");
    }
    return Decode(block_->entries[next_-- - block_->first_sequence]);
  }

 private:
  const storage::StoreView& view_;
  const std::string org_;
  const JournalHead head_;
  uint64_t next_;
  std::optional<JournalBlock> block_;
};

absl::Status CheckExpected(const v1::AuditHead& expected) {
  if (expected.sequence() < 0) return InvalidField("expected.sequence", "negative", "Send a head as it was read.");
  const size_t size = expected.hash().size();
  if (size == storage::kSha256Size || (size == 0 && expected.sequence() == 0)) return absl::OkStatus();
  return InvalidField("expected.hash", "not 32 bytes", "Send a head as it was read.");
}

void SetBroken(uint64_t sequence, std::string problem, v1::VerifyAuditLogResponse* response) {
  if (response->broken_sequence() != 0) return;
  response->set_intact(false);
  response->set_broken_sequence(static_cast<int64_t>(std::max<uint64_t>(sequence, 1)));
  response->set_problem(std::move(problem));
}

}  // namespace

absl::StatusOr<v1::ListAuditEntriesResponse> AuditRules::ListAuditEntries(
    const Caller& caller, const v1::ListAuditEntriesRequest& request) const {
  ASSIGN_OR_RETURN(const std::string org, AuthorizeLog(caller, Action::kSee, request.parent()));
  ASSIGN_OR_RETURN(const AuditFilter filter, AuditFilter::Make(org, request.filter()));
  ASSIGN_OR_RETURN(const size_t page_size, EffectivePageSize(request.page_size()));
  constexpr absl::string_view kMethod = "ListAuditEntries";
  const std::string list =
      absl::StrCat(request.parent(), " ", absl::BytesToHexString(request.filter().SerializeAsString()));
  ASSIGN_OR_RETURN(const std::string place, pages_->Read(caller, kMethod, list, request.page_token()));

  const auto view = store_->View();
  const auto head = storage::ReadJournalHead(*view, org);
  if (!head.ok()) return FromStore(head.status(), request.parent());
  uint64_t from = 0;
  if (place.empty()) {
    const auto last = LastBefore(*view, org, *head, filter.until());
    if (!last.ok()) return FromStore(last.status(), request.parent());
    from = *last;
  } else if (!absl::SimpleAtoi(place, &from)) {
    return absl::InternalError("a page token that was made here holds no sequence");
  }
  v1::ListAuditEntriesResponse response;
  size_t bytes = 0;
  Backwards entries(*view, org, *head, from);
  for (size_t scanned = 0; !entries.AtEnd(); ++scanned) {
    if (scanned == limits_.scanned_entries || bytes >= limits_.page_bytes ||
        static_cast<size_t>(response.entries_size()) == page_size) {
      response.set_next_page_token(pages_->Make(caller, kMethod, list, absl::StrCat(entries.next_sequence())));
      return response;
    }
    absl::StatusOr<v1::AuditEntry> entry = entries.Next();
    if (!entry.ok()) return FromStore(entry.status(), request.parent());
    if (TimeOf(*entry) + kLongestCall < filter.since()) return response;
    if (!ShowTo(caller, &*entry) || !filter.Matches(*entry)) continue;
    bytes += entry->ByteSizeLong();
    response.add_entries()->Swap(&*entry);
  }
  return response;
}

absl::StatusOr<v1::AuditHead> AuditRules::GetAuditHead(const Caller& caller,
                                                       const v1::GetAuditHeadRequest& request) const {
  ASSIGN_OR_RETURN(const std::string org, AuthorizeLog(caller, Action::kUpdate, request.parent()));
  const auto head = storage::ReadJournalHead(*store_->View(), org);
  if (!head.ok()) return FromStore(head.status(), request.parent());
  return ToProto(*head);
}

absl::StatusOr<v1::VerifyAuditLogResponse> AuditRules::VerifyAuditLog(const Caller& caller,
                                                                      const v1::VerifyAuditLogRequest& request) {
  ASSIGN_OR_RETURN(const std::string org, AuthorizeLog(caller, Action::kUpdate, request.parent()));
  RETURN_IF_ERROR(CheckExpected(request.expected()));
  {
    absl::MutexLock lock(&mutex_);
    if (!verifying_.insert(org).second) {
      v1::ErrorDetail detail;
      detail.set_reason("SERVER_BUSY");
      detail.set_resource(request.parent());
      detail.set_next_step("Wait until that is done.");
      detail.set_retry_delay_ms(1000);
      return MakeError(absl::StatusCode::kResourceExhausted, "this audit log is being checked already", detail);
    }
  }
  absl::StatusOr<v1::VerifyAuditLogResponse> response = Verify(org, request.expected());
  absl::MutexLock lock(&mutex_);
  verifying_.erase(org);
  return response;
}

AuditRules::Checks AuditRules::checks() const {
  absl::MutexLock lock(&mutex_);
  Checks checks = checks_;
  checks.damaged_logs = damaged_.size();
  return checks;
}

void AuditRules::NoteCheck(const std::string& org, bool damaged) const {
  absl::MutexLock lock(&mutex_);
  ++checks_.done;
  if (!damaged) {
    damaged_.erase(org);
    return;
  }
  ++checks_.damaged;
  damaged_.insert(org);
}

void AuditRules::ForgetDamage(const std::string& org) {
  absl::MutexLock lock(&mutex_);
  damaged_.erase(org);
}

void AuditRules::KeepDamaged(const absl::flat_hash_set<std::string>& orgs) {
  absl::MutexLock lock(&mutex_);
  absl::erase_if(damaged_, [&orgs](const std::string& org) { return !orgs.contains(org); });
}

absl::StatusOr<v1::VerifyAuditLogResponse> AuditRules::Verify(const std::string& org,
                                                              const v1::AuditHead& expected) const {
  const std::string name = absl::StrCat("orgs/", org);
  const uint64_t wanted = static_cast<uint64_t>(expected.sequence());
  const auto view = store_->View();
  v1::VerifyAuditLogResponse response;
  response.set_intact(true);
  const auto head = storage::ReadJournalHead(*view, org);
  if (absl::IsDataLoss(head.status())) {
    SetBroken(1, "the head of the log is missing or does not authenticate", &response);
    NoteCheck(org, /*damaged=*/true);
    return response;
  }
  if (!head.ok()) return FromStore(head.status(), name);
  *response.mutable_head() = ToProto(*head);
  if (wanted != 0 && wanted + 1 < head->first_sequence) {
    return InvalidField("expected.sequence", absl::StrCat("older than the oldest entry kept, ", head->first_sequence),
                        "Use a head that was noted later.");
  }
  bool parsed = true;
  const auto damage = storage::VerifyJournal(*view, org, [&](const JournalEntry& stored) {
    response.set_entry_count(response.entry_count() + 1);
    if (stored.sequence == wanted && storage::View(stored.hash) != expected.hash()) {
      SetBroken(wanted, absl::StrCat("entry ", wanted, " is not the one that the expected head names"), &response);
    }
    parsed = parsed && Decode(stored).ok();
    if (!parsed) SetBroken(stored.sequence, "the entry is not an audit entry", &response);
  });
  if (!damage.ok()) return FromStore(damage.status(), name);
  NoteCheck(org, damage->has_value() || !parsed || head->last_sequence == 0);
  if (damage->has_value()) {
    const storage::JournalDamage& found = **damage;
    if (response.broken_sequence() == 0 || found.sequence < static_cast<uint64_t>(response.broken_sequence())) {
      response.clear_broken_sequence();
      SetBroken(found.sequence, found.problem, &response);
    }
    return response;
  }
  if (head->last_sequence == 0) {
    SetBroken(1, "the log is empty, and the making of an organization is its first entry", &response);
  } else if (wanted > head->last_sequence) {
    SetBroken(
        head->last_sequence + 1,
        absl::StrCat("the log ends with entry ", head->last_sequence, ", and the expected head names entry ", wanted),
        &response);
  } else if (wanted != 0 && wanted + 1 == head->first_sequence &&
             storage::View(head->first_previous_hash) != expected.hash()) {
    SetBroken(head->first_sequence, "the log does not begin after the entry that the expected head names", &response);
  }
  return response;
}

}  // namespace keyferry::server
