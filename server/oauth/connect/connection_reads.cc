// What reads connections: get and list, and how far an attempt is.
#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/oauth/connect/connection_rules.h"
#include "server/oauth/connect/conversion.h"
#include "server/oauth/connect/starter.h"
#include "server/oauth/connection_records.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

// What the full names of the parent's connections start with.
std::string PrefixOf(const ParentName& parent) { return absl::StrCat(parent.Name(), "/", kConnections, "/"); }

bool MaySee(const Caller& caller, const ParentName& parent) {
  return Decide(caller, Action::kSee, ConnectionResource(parent, parent.Name())) == Decision::kAllow;
}

// The scopes that are listed, in order of their connections' full names. What the caller may not see is not read.
absl::StatusOr<std::vector<ParentName>> ScopesOf(const storage::StoreView& view, const Caller& caller,
                                                 const ParentName& parent, bool all_scopes) {
  if (!all_scopes) {
    if (parent.kind == ParentName::kTeam) {
      ASSIGN_OR_RETURN(const bool exists, view.Contains({Table::kTeam, parent.org, "", parent.id}));
      if (!exists) return NotFound(parent.Name());
    }
    return std::vector<ParentName>{parent};
  }
  std::vector<ParentName> candidates = {parent, {ParentName::kUser, parent.org, caller.id}};
  ASSIGN_OR_RETURN(const auto teams, ScanRecords<records::TeamRecord>(view, Table::kTeam, parent.org, /*parent=*/""));
  for (const auto& team : teams) candidates.push_back({ParentName::kTeam, parent.org, team.record.id()});
  std::vector<ParentName> visible;
  std::copy_if(candidates.begin(), candidates.end(), std::back_inserter(visible),
               [&](const ParentName& candidate) { return MaySee(caller, candidate); });
  std::sort(visible.begin(), visible.end(),
            [](const ParentName& a, const ParentName& b) { return PrefixOf(a) < PrefixOf(b); });
  return visible;
}

// What a page token of this list is bound to.
std::string PageScope(const v1::ListConnectionsRequest& request) {
  return absl::StrCat(request.parent(), request.all_scopes() ? "|all|" : "|one|", request.oauth_provider_id());
}

absl::StatusOr<std::vector<records::ConnectionRecord>> RecordsOf(const storage::StoreView& view,
                                                                 const ParentName& parent,
                                                                 const std::string& provider) {
  std::vector<records::ConnectionRecord> all;
  if (!provider.empty()) {
    const ConnectionKey key = {parent.org, parent.RecordParent(), provider};
    ASSIGN_OR_RETURN(auto one,
                     ReadRecord<records::ConnectionRecord>(view, ConnectionRecordKey(Table::kConnection, key)));
    if (one.has_value()) all.push_back(std::move(one->record));
    return all;
  }
  ASSIGN_OR_RETURN(auto stored,
                   ScanRecords<records::ConnectionRecord>(view, Table::kConnection, parent.org, parent.RecordParent()));
  for (auto& one : stored) all.push_back(std::move(one.record));
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.id() < b.id(); });
  return all;
}

}  // namespace

absl::StatusOr<v1::Connection> ConnectionRules::Show(const Caller& caller, const ParentName& parent,
                                                     const ConnectionRecord& record,
                                                     const storage::StoreView& view) const {
  LastUse use;
  if (context_.usage != nullptr) {
    ASSIGN_OR_RETURN(use, context_.usage->FindOfConnection(view, parent.org, record.parent(), record.id(),
                                                           absl::FromUnixNanos(record.create_time())));
  }
  return ToConnection(parent, record, use, caller.tier, context_.clock());
}

absl::StatusOr<v1::Connection> ConnectionRules::Read(const Caller& caller, const ChildName& name) const {
  const std::string resource = name.Name(kConnections);
  const std::unique_ptr<storage::StoreView> view = context_.store->View();
  const auto found =
      ReadRecord<ConnectionRecord>(*view, ConnectionRecordKey(Table::kConnection, ConnectionKeyOf(name)));
  if (!found.ok()) return FromStore(found.status(), resource);
  if (!found->has_value()) return NotFound(resource);
  absl::StatusOr<v1::Connection> shown = Show(caller, name.parent, (*found)->record, *view);
  if (!shown.ok()) return FromStore(shown.status(), resource);
  return shown;
}

absl::StatusOr<v1::Connection> ConnectionRules::GetConnection(const Caller& caller,
                                                              const v1::GetConnectionRequest& request) const {
  ASSIGN_OR_RETURN(const ChildName name, ParseConnectionChild(request.name(), kConnections, "name"));
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, ConnectionResource(name.parent, request.name())));
  return Read(caller, name);
}

absl::StatusOr<v1::ConnectionAttempt> ConnectionRules::GetConnectionAttempt(
    const Caller& caller, const v1::GetConnectionAttemptRequest& request) const {
  ASSIGN_OR_RETURN(const ChildName name, ParseConnectionChild(request.name(), kConnectionAttempts, "name"));
  const std::unique_ptr<storage::StoreView> view = context_.store->View();
  // Who started it stands in the record: what is not there was started by nobody, and is hidden in the same words.
  storage::Wiped<records::ConnectionAttemptRecord> record;
  if (caller.org == name.parent.org) {
    auto found = ReadRecord<records::ConnectionAttemptRecord>(
        *view, {Table::kConnectionAttempt, name.parent.org, name.parent.RecordParent(), name.id});
    if (!found.ok()) return FromStore(found.status(), request.name());
    if (found->has_value()) record->Swap(&(*found)->record);
  }
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, AttemptResource(name.parent, request.name(), record->starter())));
  const auto starter = LoadStarter(*view, record->starter(), name.parent, /*mutation=*/nullptr);
  if (!starter.ok()) return FromStore(starter.status(), request.name());
  // A later principal of the same id.
  if (!starter->has_value() || (*starter)->create_time != record->starter_create_time()) {
    return NotFound(request.name());
  }
  return ToConnectionAttempt(name.parent, *record, context_.clock());
}

absl::StatusOr<v1::ListConnectionsResponse> ConnectionRules::ListConnections(
    const Caller& caller, const v1::ListConnectionsRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName parent, ParseConnectionParent(request.parent(), "parent"));
  if (request.all_scopes() && parent.kind != ParentName::kOrg) {
    return InvalidField("all_scopes", "set, and the parent is not an organization",
                        "Use `orgs/{org}` as parent, or leave it out.");
  }
  if (!request.oauth_provider_id().empty()) RETURN_IF_ERROR(CheckId(request.oauth_provider_id(), "oauth_provider_id"));
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, ConnectionResource(parent, request.parent())));
  ASSIGN_OR_RETURN(const size_t size, EffectivePageSize(request.page_size()));
  const std::string scope = PageScope(request);
  ASSIGN_OR_RETURN(const std::string after,
                   context_.pages->Read(caller, "ListConnections", scope, request.page_token()));
  const std::unique_ptr<storage::StoreView> view = context_.store->View();
  absl::StatusOr<std::vector<Listed>> listed = GatherListed(*view, caller, parent, request, after, size);
  if (!listed.ok()) return FromStore(listed.status(), request.parent());

  v1::ListConnectionsResponse response;
  for (size_t i = 0; i < std::min(size, listed->size()); ++i) {
    absl::StatusOr<v1::Connection> shown = Show(caller, (*listed)[i].parent, (*listed)[i].record, *view);
    if (!shown.ok()) return FromStore(shown.status(), request.parent());
    response.add_connections()->Swap(&*shown);
  }
  if (listed->size() > size) {
    const std::string& last = response.connections(static_cast<int>(size) - 1).name();
    response.set_next_page_token(context_.pages->Make(caller, "ListConnections", scope, last));
  }
  return response;
}

// The first `size` + 1 connections after a full name.
absl::StatusOr<std::vector<ConnectionRules::Listed>> ConnectionRules::GatherListed(
    const storage::StoreView& view, const Caller& caller, const ParentName& parent,
    const v1::ListConnectionsRequest& request, const std::string& after, size_t size) const {
  ASSIGN_OR_RETURN(const std::vector<ParentName> scopes, ScopesOf(view, caller, parent, request.all_scopes()));
  std::vector<Listed> all;
  for (const ParentName& scope : scopes) {
    if (all.size() > size) break;
    const std::string prefix = PrefixOf(scope);
    if (prefix < after && !absl::StartsWith(after, prefix)) continue;
    ASSIGN_OR_RETURN(auto records, RecordsOf(view, scope, request.oauth_provider_id()));
    for (auto& record : records) {
      if (all.size() > size) break;
      if (absl::StrCat(prefix, record.id()) > after) all.push_back({scope, std::move(record)});
    }
  }
  return all;
}

}  // namespace keyferry::server
