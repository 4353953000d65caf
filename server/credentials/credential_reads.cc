// What reads credentials: get and list.
#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/credentials/conversion.h"
#include "server/credentials/credential_rules.h"
#include "server/errors.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {

using storage::Table;

namespace {

// What the full names of the parent's credentials start with.
std::string PrefixOf(const ParentName& parent) { return absl::StrCat(parent.Name(), "/credentials/"); }

bool MaySee(const Caller& caller, const ParentName& parent) {
  return Decide(caller, Action::kSee, CredentialResource(parent, parent.Name())) == Decision::kAllow;
}

// The parents whose credentials are listed, in order of their credentials' full names: the one that the request names,
// or those of the scopes that the caller may see. What the caller may not see is not even read.
absl::StatusOr<std::vector<ParentName>> ParentsOf(const storage::StoreView& view, const Caller& caller,
                                                  const ParentName& parent, const CredentialQuery& query) {
  if (!query.HasScopes()) {
    if (parent.kind == ParentName::kTeam) {
      ASSIGN_OR_RETURN(const bool exists, view.Contains({Table::kTeam, parent.org, "", parent.id}));
      if (!exists) return NotFound(parent.Name());
    }
    return std::vector<ParentName>{parent};
  }
  std::vector<ParentName> candidates;
  if (query.HasScope(v1::CREDENTIAL_SCOPE_ORG)) candidates.push_back(parent);
  if (query.HasScope(v1::CREDENTIAL_SCOPE_TEAM)) {
    ASSIGN_OR_RETURN(const auto teams,
                     ScanRecords<storage::records::TeamRecord>(view, Table::kTeam, parent.org, /*parent=*/""));
    for (const auto& team : teams) candidates.push_back({ParentName::kTeam, parent.org, team.record.id()});
  }
  if (query.HasScope(v1::CREDENTIAL_SCOPE_USER)) candidates.push_back({ParentName::kUser, parent.org, caller.id});
  std::vector<ParentName> visible;
  std::copy_if(candidates.begin(), candidates.end(), std::back_inserter(visible),
               [&](const ParentName& candidate) { return MaySee(caller, candidate); });
  std::sort(visible.begin(), visible.end(),
            [](const ParentName& a, const ParentName& b) { return PrefixOf(a) < PrefixOf(b); });
  return visible;
}

}  // namespace

absl::StatusOr<v1::Credential> CredentialRules::Show(const Caller& caller, const ParentName& parent,
                                                     const CredentialRecord& record,
                                                     const storage::StoreView& view) const {
  ASSIGN_OR_RETURN(const LastUse use, usage_->Find(view, parent.org, record.parent(), record.id(),
                                                   absl::FromUnixNanos(record.create_time())));
  return ToCredential(parent, record, use, caller.tier, clock_());
}

absl::StatusOr<v1::Credential> CredentialRules::GetCredential(const Caller& caller,
                                                              const v1::GetCredentialRequest& request) const {
  ASSIGN_OR_RETURN(const ChildName name, ParseCredentialName(request.name(), "name"));
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, CredentialResource(name.parent, request.name())));
  const absl::StatusOr<Found> found = Find(store_->View(), name);
  if (!found.ok()) return FromStore(found.status(), request.name());
  absl::StatusOr<v1::Credential> shown = Show(caller, name.parent, found->record, *found->view);
  if (!shown.ok()) return FromStore(shown.status(), request.name());
  return shown;
}

absl::StatusOr<v1::ListCredentialsResponse> CredentialRules::ListCredentials(
    const Caller& caller, const v1::ListCredentialsRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName parent, ParseCredentialParent(request.parent(), "parent"));
  ASSIGN_OR_RETURN(const CredentialQuery query, CredentialQuery::From(request));
  if (query.HasScopes() && parent.kind != ParentName::kOrg) {
    return InvalidField("filter.scopes", "set, and the parent is not an organization",
                        "Use `orgs/{org}` as parent, or leave the scopes out.");
  }
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, CredentialResource(parent, request.parent())));
  ASSIGN_OR_RETURN(const size_t size, EffectivePageSize(request.page_size()));
  ASSIGN_OR_RETURN(const std::string last,
                   pages_->Read(caller, "ListCredentials", query.PageScope(), request.page_token()));
  std::optional<ListPosition> after;
  if (!last.empty()) {
    ASSIGN_OR_RETURN(after, query.DecodePosition(last));
  }
  const std::unique_ptr<storage::StoreView> view = store_->View();
  absl::StatusOr<std::vector<Listed>> listed = GatherListed(*view, caller, parent, query, after, size);
  if (!listed.ok()) return FromStore(listed.status(), request.parent());

  v1::ListCredentialsResponse response;
  for (size_t i = 0; i < std::min(size, listed->size()); ++i) {
    const Listed& one = (*listed)[i];
    absl::StatusOr<v1::Credential> shown = Show(caller, one.parent, one.record, *view);
    if (!shown.ok()) return FromStore(shown.status(), request.parent());
    response.add_credentials()->Swap(&*shown);
  }
  if (listed->size() > size) {
    response.set_next_page_token(pages_->Make(caller, "ListCredentials", query.PageScope(),
                                              CredentialQuery::EncodePosition((*listed)[size - 1].position)));
  }
  return response;
}

// The first `size` + 1 credentials of the list after a position, in its order.
absl::StatusOr<std::vector<CredentialRules::Listed>> CredentialRules::GatherListed(
    const storage::StoreView& view, const Caller& caller, const ParentName& parent, const CredentialQuery& query,
    const std::optional<ListPosition>& after, size_t size) const {
  const absl::Time now = clock_();
  ASSIGN_OR_RETURN(const std::vector<ParentName> parents, ParentsOf(view, caller, parent, query));
  std::vector<Listed> all;
  for (const ParentName& holder : parents) {
    const std::string prefix = PrefixOf(holder);
    if (query.IsByName()) {
      // Parents are in the order of their credentials' names.
      if (all.size() > size) break;
      if (after.has_value() && prefix < after->name && !absl::StartsWith(after->name, prefix)) continue;
    }
    ASSIGN_OR_RETURN(auto stored,
                     ScanRecords<CredentialRecord>(view, Table::kCredential, holder.org, holder.RecordParent()));
    const v1::CredentialStatus status =
        IsScopeSuspended(caller.tier, holder) ? v1::CREDENTIAL_STATUS_SUSPENDED : v1::CREDENTIAL_STATUS_ACTIVE;
    for (auto& one : stored) {
      if (!query.MatchesRecord(one.record, status, now)) continue;
      LastUse use;
      if (query.NeedsUse()) {
        ASSIGN_OR_RETURN(use, usage_->Find(view, holder.org, one.record.parent(), one.record.id(),
                                           absl::FromUnixNanos(one.record.create_time())));
        if (!query.MatchesUse(one.record, use)) continue;
      }
      ListPosition position = query.PositionOf(absl::StrCat(prefix, one.record.id()), one.record, use);
      if (after.has_value() && !query.Before(*after, position)) continue;
      all.push_back({std::move(position), holder, std::move(one.record)});
    }
  }
  const auto end = all.begin() + static_cast<ptrdiff_t>(std::min(all.size(), size + 1));
  std::partial_sort(all.begin(), end, all.end(),
                    [&](const Listed& a, const Listed& b) { return query.Before(a.position, b.position); });
  all.erase(end, all.end());
  return all;
}

}  // namespace keyferry::server
