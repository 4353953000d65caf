#include "server/audit/audit_filter.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/access/access.h"
#include "server/audit/call_record.h"
#include "server/errors.h"
#include "server/names.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr size_t kMaxMethodBytes = 128;

absl::StatusOr<absl::Time> CheckTime(const google::protobuf::Timestamp& time, absl::string_view field) {
  // 0001-01-01 to 9999-12-31, as Timestamp itself says.
  constexpr int64_t kMinSeconds = -62135596800;
  constexpr int64_t kMaxSeconds = 253402300799;
  if (time.seconds() < kMinSeconds || time.seconds() > kMaxSeconds || time.nanos() < 0 || time.nanos() > 999999999) {
    return InvalidField(field, "not a time", "Use a time from year 1 to year 9999.");
  }
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

absl::Status CheckPrincipal(const std::string& org, const std::string& principal) {
  if (principal.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const ParentName name, ParseParent(principal, "filter.principal"));
  const bool fits =
      name.kind == ParentName::kUser || name.kind == ParentName::kService || name.kind == ParentName::kWorkload;
  if (fits && name.org == org) return absl::OkStatus();
  return InvalidField("filter.principal", "not a principal of the organization",
                      "Name a user, service or workload below the parent.");
}

absl::Status CheckMethod(absl::string_view method) {
  const std::vector<absl::string_view> parts = absl::StrSplit(method, '/');
  const bool letters = std::all_of(method.begin(), method.end(), [](char c) {
    return c == '/' || absl::ascii_isalpha(static_cast<unsigned char>(c));
  });
  if (method.empty() || (letters && method.size() <= kMaxMethodBytes && parts.size() <= 2 && !parts[0].empty() &&
                         !parts.back().empty())) {
    return absl::OkStatus();
  }
  return InvalidField("filter.method", "not a method", "Use a form like CredentialService/GetCredential.");
}

bool IsAtOrBelow(absl::string_view name, absl::string_view ancestor) {
  return absl::StartsWith(name, ancestor) && (name.size() == ancestor.size() || name[ancestor.size()] == '/');
}

// "eng" of "orgs/acme/teams/eng" and of anything below it; "" else.
absl::string_view SegmentAfter(absl::string_view name, absl::string_view org, absl::string_view collection) {
  const std::string prefix = absl::StrCat("orgs/", org, "/", collection, "/");
  if (!absl::StartsWith(name, prefix)) return "";
  name.remove_prefix(prefix.size());
  return name.substr(0, name.find('/'));
}

bool MaySee(const Caller& caller, ResourceKind kind, absl::string_view team, absl::string_view user) {
  const Resource resource = {kind, caller.org, std::string(team), std::string(user), ""};
  return Decide(caller, Action::kSee, resource) == Decision::kAllow;
}

}  // namespace

absl::StatusOr<AuditFilter> AuditFilter::Make(const std::string& org, const v1::AuditFilter& filter) {
  AuditFilter made;
  made.filter_ = filter;
  RETURN_IF_ERROR(CheckPrincipal(org, filter.principal()));
  RETURN_IF_ERROR(CheckMethod(filter.method()));
  if (!filter.resource().empty() &&
      (!IsResourceName(filter.resource()) || !IsAtOrBelow(filter.resource(), absl::StrCat("orgs/", org)) ||
       absl::EndsWith(filter.resource(), "/"))) {
    return InvalidField("filter.resource", "not a resource name of the organization",
                        "Use a form like orgs/acme/teams/eng/credentials/NAME.");
  }
  if (filter.has_since()) {
    ASSIGN_OR_RETURN(made.since_, CheckTime(filter.since(), "filter.since"));
  }
  if (filter.has_until()) {
    ASSIGN_OR_RETURN(made.until_, CheckTime(filter.until(), "filter.until"));
  }
  return made;
}

bool AuditFilter::Matches(const v1::AuditEntry& entry) const {
  if (filter_.failed() && entry.code() == 0) return false;
  if (!filter_.principal().empty() && entry.principal() != filter_.principal()) return false;
  if (!filter_.method().empty() && !IsAtOrBelow(entry.method(), filter_.method())) return false;
  const absl::Time time = TimeOf(entry);
  if (time < since_ || time >= until_) return false;
  if (filter_.resource().empty() || IsAtOrBelow(entry.resource(), filter_.resource())) return true;
  return std::any_of(entry.credentials().begin(), entry.credentials().end(), [&](const v1::AuditedCredential& one) {
    return IsAtOrBelow(one.credential(), filter_.resource());
  });
}

absl::Time TimeOf(const v1::AuditEntry& entry) {
  return absl::FromUnixSeconds(entry.time().seconds()) + absl::Nanoseconds(entry.time().nanos());
}

bool ShowTo(const Caller& caller, v1::AuditEntry* entry) {
  if (MaySee(caller, ResourceKind::kAuditEntry, "", "")) return true;
  const absl::string_view of_resource = SegmentAfter(entry->resource(), caller.org, "teams");
  const absl::string_view acting_team = SegmentAfter(entry->team(), caller.org, "teams");
  const absl::string_view acting_user = SegmentAfter(entry->user(), caller.org, "users");
  const bool own = entry->principal() == caller.Name() && MaySee(caller, ResourceKind::kOwnAuditEntry, "", "");
  if (!own && !MaySee(caller, ResourceKind::kAuditEntry, of_resource, acting_user) &&
      !MaySee(caller, ResourceKind::kAuditEntry, acting_team, "")) {
    return false;
  }
  if (own) return true;
  auto* const credentials = entry->mutable_credentials();
  credentials->erase(std::remove_if(credentials->begin(), credentials->end(),
                                    [&](const v1::AuditedCredential& one) {
                                      const absl::string_view user =
                                          SegmentAfter(one.credential(), caller.org, "users");
                                      return !user.empty() && !MaySee(caller, ResourceKind::kUserCredential, "", user);
                                    }),
                     credentials->end());
  return true;
}

}  // namespace keyferry::server
