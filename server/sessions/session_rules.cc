#include "server/sessions/session_rules.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/audit/call_record.h"
#include "server/directory/common.h"
#include "server/errors.h"
#include "server/records.h"
#include "server/sessions/conversion.h"
#include "server/sessions/session_keys.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

// Sorts the newest first when compared as text.
std::string ListKey(const records::SessionRecord& record) {
  return absl::StrCat(
      absl::Hex(std::numeric_limits<int64_t>::max() - std::max<int64_t>(record.create_time(), 0), absl::kZeroPad16),
      "-", record.id());
}

Resource OrgResource(const std::string& org, std::string name) {
  return {ResourceKind::kOrg, org, "", "", std::move(name)};
}

}  // namespace

SessionRules::SessionRules(storage::Store* store, Clock clock, const PageTokens* pages, SessionLimits limits)
    : store_(store), clock_(std::move(clock)), pages_(pages), quota_(store, limits) {}

absl::StatusOr<records::SessionRecord> SessionRules::Find(const storage::StoreView& view, const Caller& caller,
                                                          Action action, const std::string& name,
                                                          ChildName* parsed) const {
  ASSIGN_OR_RETURN(*parsed, ParseOrgChild(name, "sessions", "name"));
  const std::string& org = parsed->parent.org;
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, OrgResource(org, name)));
  auto found = ReadRecord<records::SessionRecord>(view, {Table::kSession, org, "", parsed->id});
  if (!found.ok()) return FromStore(found.status(), name);
  if (!found->has_value() || (*found)->record.expire_time() <= absl::ToUnixNanos(clock_())) return NotFound(name);
  RETURN_IF_ERROR(Authorize(caller, action, SessionResource(org, (*found)->record)));
  return std::move((*found)->record);
}

absl::StatusOr<v1::Session> SessionRules::GetSession(const Caller& caller, const v1::GetSessionRequest& request) const {
  ChildName name;
  ASSIGN_OR_RETURN(const records::SessionRecord record,
                   Find(*store_->View(), caller, Action::kSee, request.name(), &name));
  return ToSession(name.parent.org, record);
}

absl::StatusOr<v1::ListSessionsResponse> SessionRules::ListSessions(const Caller& caller,
                                                                    const v1::ListSessionsRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName parent, ParseOrg(request.parent(), "parent"));
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, OrgResource(parent.org, parent.Name())));
  if (!request.user().empty()) {
    ASSIGN_OR_RETURN(const ParentName user, ParseParent(request.user(), "user"));
    if (user.kind != ParentName::kUser || user.org != parent.org) {
      return InvalidField("user", "not a user of this organization", "Use `orgs/{org}/users/{user}`.");
    }
  }
  const auto all = ScanRecords<records::SessionRecord>(*store_->View(), Table::kSession, parent.org, "");
  if (!all.ok()) return FromStore(all.status(), parent.Name());
  const int64_t now = absl::ToUnixNanos(clock_());
  std::map<std::string, const records::SessionRecord*> by_key;
  std::vector<std::string> keys;
  for (const auto& stored : *all) {
    const records::SessionRecord& record = stored.record;
    if (record.expire_time() <= now || (!request.user().empty() && record.user() != request.user())) continue;
    if (Decide(caller, Action::kSee, SessionResource(parent.org, record)) != Decision::kAllow) continue;
    keys.push_back(ListKey(record));
    by_key[keys.back()] = &record;
  }
  // A page token goes on with the same filter only.
  const std::string list = absl::StrCat(request.parent(), " ", request.user());
  ASSIGN_OR_RETURN(const IdPage page, MakePage(*pages_, caller, "ListSessions", list, request.page_size(),
                                               request.page_token(), std::move(keys)));
  v1::ListSessionsResponse response;
  for (const std::string& key : page.ids) *response.add_sessions() = ToSession(parent.org, *by_key.at(key));
  response.set_next_page_token(page.next_page_token);
  return response;
}

absl::StatusOr<google::protobuf::Empty> SessionRules::RevokeSession(const Caller& caller,
                                                                    const v1::RevokeSessionRequest& request) {
  ChildName name;
  RETURN_IF_ERROR(Find(*store_->View(), caller, Action::kDelete, request.name(), &name).status());
  storage::Mutation mutation;
  // A session never changes, so whatever revision it has by now is the one that was decided on.
  mutation.Delete({Table::kSession, name.parent.org, "", name.id}, std::nullopt);
  const auto committed = CommitAudited(store_, caller, std::move(mutation));
  if (!committed.ok()) return FromStore(committed.status(), request.name());
  quota_.GiveBack(name.parent.org, name.id);
  return google::protobuf::Empty();
}

absl::StatusOr<v1::ListSessionKeysResponse> SessionRules::ListSessionKeys(
    const Caller& caller, const v1::ListSessionKeysRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName parent, ParseOrg(request.parent(), "parent"));
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, OrgResource(parent.org, parent.Name())));
  const auto keys = ReadSessionKeys(*store_->View(), parent.org);
  if (!keys.ok()) return FromStore(keys.status(), parent.Name());
  v1::ListSessionKeysResponse response;
  for (const SessionPublicKey& key : *keys) {
    v1::SessionKey* shown = response.add_keys();
    shown->set_key_id(key.key_id);
    shown->set_public_key(key.public_key);
    *shown->mutable_create_time() = ToTimestamp(key.create_time);
  }
  return response;
}

}  // namespace keyferry::server
