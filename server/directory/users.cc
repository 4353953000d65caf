#include "server/directory/users.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/access/access.h"
#include "server/audit/call_record.h"
#include "server/directory/person_bindings.h"
#include "server/errors.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

Resource UserResource(const ChildName& name) {
  return {ResourceKind::kUser, name.parent.org, /*team=*/"", /*user=*/name.id, name.Name("users")};
}

v1::User ToProto(const std::string& org, const records::UserRecord& record) {
  v1::User user;
  user.set_name(absl::StrCat("orgs/", org, "/users/", record.id()));
  user.set_display_name(record.display_name());
  user.set_role(static_cast<v1::OrgRole>(record.role()));
  *user.mutable_create_time() = ToTimestamp(record.create_time());
  user.set_etag(EtagOf(record));
  user.set_issuer(record.issuer());
  user.set_subject(record.subject());
  return user;
}

absl::StatusOr<Stored<records::UserRecord>> ReadUser(const storage::StoreView& view, const ChildName& name) {
  auto found = ReadRecord<records::UserRecord>(view, {Table::kUser, name.parent.org, "", name.id});
  if (!found.ok()) return FromStore(found.status(), name.Name("users"));
  if (!found->has_value()) return NotFound(name.Name("users"));
  return std::move(**found);
}

absl::Status CheckRole(v1::OrgRole role, absl::string_view field) {
  if (role == v1::ORG_ROLE_MEMBER || role == v1::ORG_ROLE_ADMIN) return absl::OkStatus();
  return InvalidField(field, "not a role", "Use ORG_ROLE_MEMBER or ORG_ROLE_ADMIN.");
}

// `iss` of those whose tokens are to call as a user, "" if nobody's.
absl::StatusOr<std::string> CheckBinding(const DirectoryContext& context, const v1::User& user,
                                         const std::string& org) {
  constexpr size_t kMaxSubjectBytes = 256;
  if (user.issuer().empty() != user.subject().empty()) {
    return InvalidField("user.subject", "does not go with user.issuer", "Set both, or none to let go of it.");
  }
  if (user.issuer().empty()) return std::string();
  RETURN_IF_ERROR(CheckText(user.subject(), kMaxSubjectBytes, "user.subject"));
  if (context.external != nullptr && context.external->MayEnter(user.issuer(), /*name_space=*/"", org)) {
    std::string url = context.external->UrlOf(user.issuer());
    if (!url.empty()) return url;
  }
  return InvalidField("user.issuer", "not an issuer whose people may enter this organization",
                      "Ask the operator of keyferryd: its configuration names who may (`identity`).");
}

}  // namespace

absl::StatusOr<v1::User> UserRules::CreateUser(const Caller& caller, const v1::CreateUserRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName parent, ParseOrg(request.parent(), "parent"));
  RETURN_IF_ERROR(CheckId(request.user_id(), "user_id"));
  const ChildName name{parent, request.user_id()};
  RETURN_IF_ERROR(Authorize(caller, Action::kCreate, UserResource(name)));
  RETURN_IF_ERROR(CheckDisplayName(request.user().display_name(), "user.display_name"));
  RETURN_IF_ERROR(CheckRole(request.user().role(), "user.role"));
  ASSIGN_OR_RETURN(const std::string issuer_url, CheckBinding(context_, request.user(), parent.org));
  absl::MutexLock lock(context_.changes);
  const auto view = context_.store->View();
  ASSIGN_OR_RETURN(const OrgState org, ReadOrg(*view, parent.org));
  const auto exists = view->Contains({Table::kUser, parent.org, "", name.id});
  if (!exists.ok()) return FromStore(exists.status(), name.Name("users"));
  if (*exists) return AlreadyExists(name.Name("users"));
  storage::Mutation mutation;
  records::UserRecord user;
  user.set_id(name.id);
  user.set_display_name(request.user().display_name());
  user.set_role(request.user().role());
  user.set_issuer(request.user().issuer());
  user.set_issuer_url(issuer_url);
  user.set_subject(request.user().subject());
  user.set_create_time(context_.NowNanos());
  user.set_update_time(user.create_time());
  RETURN_IF_ERROR(StageNewUser(context_, *view, static_cast<v1::Tier>(org.record.tier()), parent.org, user, &mutation));
  RETURN_IF_ERROR(StageBinding(*view, parent.org, /*before=*/{}, user, context_.clock(), &mutation));
  ParentCounts* const counts = context_.user_counts == nullptr ? &own_counts_ : context_.user_counts;
  const auto committed = CommitCounted(context_.store, counts, caller, parent.org, std::move(mutation));
  if (!committed.ok()) return FromStore(committed, name.Name("users"));
  return ToProto(parent.org, user);
}

absl::StatusOr<v1::User> UserRules::GetUser(const Caller& caller, const v1::GetUserRequest& request) const {
  ASSIGN_OR_RETURN(const ChildName name, ParseOrgChild(request.name(), "users", "name"));
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, UserResource(name)));
  ASSIGN_OR_RETURN(const auto user, ReadUser(*context_.store->View(), name));
  return ToProto(name.parent.org, user.record);
}

absl::StatusOr<v1::ListUsersResponse> UserRules::ListUsers(const Caller& caller,
                                                           const v1::ListUsersRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName parent, ParseOrg(request.parent(), "parent"));
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, {ResourceKind::kOrg, parent.org, "", "", parent.Name()}));
  const auto all = ScanRecords<records::UserRecord>(*context_.store->View(), Table::kUser, parent.org, "");
  if (!all.ok()) return FromStore(all.status(), parent.Name());
  std::map<std::string, const records::UserRecord*> visible;
  std::vector<std::string> ids;
  for (const auto& user : *all) {
    if (Decide(caller, Action::kSee, UserResource({parent, user.record.id()})) != Decision::kAllow) continue;
    visible[user.record.id()] = &user.record;
    ids.push_back(user.record.id());
  }
  ASSIGN_OR_RETURN(const IdPage page, MakePage(*context_.pages, caller, "ListUsers", request.parent(),
                                               request.page_size(), request.page_token(), std::move(ids)));
  v1::ListUsersResponse response;
  for (const std::string& id : page.ids) *response.add_users() = ToProto(parent.org, *visible.at(id));
  response.set_next_page_token(page.next_page_token);
  return response;
}

absl::StatusOr<v1::User> UserRules::UpdateUser(const Caller& caller, const v1::UpdateUserRequest& request) const {
  ASSIGN_OR_RETURN(const ChildName name, ParseOrgChild(request.user().name(), "users", "user.name"));
  RETURN_IF_ERROR(Authorize(caller, Action::kUpdate, UserResource(name)));
  absl::flat_hash_set<std::string> set;
  if (!request.user().display_name().empty()) set.insert("display_name");
  if (request.user().role() != v1::ORG_ROLE_UNSPECIFIED) set.insert("role");
  if (!request.user().issuer().empty()) set.insert("issuer");
  ASSIGN_OR_RETURN(const auto paths,
                   MaskPaths(request.update_mask(), {"display_name", "role", "issuer"}, std::move(set)));
  RETURN_IF_ERROR(CheckDisplayName(request.user().display_name(), "user.display_name"));
  if (paths.contains("role")) RETURN_IF_ERROR(CheckRole(request.user().role(), "user.role"));
  std::string issuer_url;
  if (paths.contains("issuer")) {
    ASSIGN_OR_RETURN(issuer_url, CheckBinding(context_, request.user(), name.parent.org));
  }
  absl::MutexLock lock(context_.changes);
  const auto view = context_.store->View();
  ASSIGN_OR_RETURN(auto user, ReadUser(*view, name));
  RETURN_IF_ERROR(CheckEtag(request.user().etag(), EtagOf(user.record), request.user().name()));
  if (paths.contains("display_name")) user.record.set_display_name(request.user().display_name());
  if (paths.contains("role")) {
    if (user.record.role() == v1::ORG_ROLE_ADMIN && request.user().role() != v1::ORG_ROLE_ADMIN) {
      RETURN_IF_ERROR(CheckNotLastAdmin(*view, name.parent.org, name.id));
    }
    user.record.set_role(request.user().role());
  }
  storage::Mutation mutation;
  if (paths.contains("issuer")) {
    const records::UserRecord before = user.record;
    user.record.set_issuer(request.user().issuer());
    user.record.set_issuer_url(issuer_url);
    user.record.set_subject(request.user().subject());
    // The claims were somebody else's.
    if (!SameSubject(before, user.record)) user.record.set_claims_time(0);
    RETURN_IF_ERROR(StageBinding(*view, name.parent.org, before, user.record, context_.clock(), &mutation));
  }
  user.record.set_update_time(context_.NowNanos());
  mutation.Put({Table::kUser, name.parent.org, "", name.id}, storage::SerializeSecret(user.record), user.version + 1,
               user.revision);
  const auto committed = CommitAudited(context_.store, caller, std::move(mutation));
  if (!committed.ok()) return FromStore(committed.status(), request.user().name());
  return ToProto(name.parent.org, user.record);
}

absl::StatusOr<google::protobuf::Empty> UserRules::DeleteUser(const Caller& caller,
                                                              const v1::DeleteUserRequest& request) const {
  ASSIGN_OR_RETURN(const ChildName name, ParseOrgChild(request.name(), "users", "name"));
  RETURN_IF_ERROR(Authorize(caller, Action::kDelete, UserResource(name)));
  absl::MutexLock lock(context_.changes);
  const auto view = context_.store->View();
  ASSIGN_OR_RETURN(const auto user, ReadUser(*view, name));
  if (user.record.role() == v1::ORG_ROLE_ADMIN) {
    RETURN_IF_ERROR(CheckNotLastAdmin(*view, name.parent.org, name.id));
  }
  const std::string below = absl::StrCat("users/", name.id);
  storage::Mutation mutation;
  mutation.Delete({Table::kUser, name.parent.org, "", name.id}, user.revision);
  RETURN_IF_ERROR(StageBinding(*view, name.parent.org, user.record, /*after=*/{}, context_.clock(), &mutation));
  RETURN_IF_ERROR(DeleteEverythingBelow(*view, name.parent.org, below, context_.clock(), &mutation));
  const auto memberships = ScanRecords<records::MembershipRecord>(*view, Table::kMembership, name.parent.org, below);
  if (!memberships.ok()) return FromStore(memberships.status(), request.name());
  for (const auto& membership : *memberships) {
    DeleteMembership(name.parent.org, membership.record.team(), name.id, &mutation);
  }
  const auto committed = CommitAudited(context_.store, caller, std::move(mutation));
  if (!committed.ok()) return FromStore(committed.status(), request.name());
  RETURN_IF_ERROR(SweepBelow(context_.store, name.parent.org, below, context_.clock()));
  return google::protobuf::Empty();
}

absl::Status StageNewUser(const DirectoryContext& context, const storage::StoreView& view, v1::Tier tier,
                          const std::string& org, const records::UserRecord& user, storage::Mutation* mutation) {
  RETURN_IF_ERROR(DeleteEverythingBelow(view, org, absl::StrCat("users/", user.id()), context.clock(), mutation));
  mutation->Put({Table::kUser, org, "", user.id()}, storage::SerializeSecret(user), /*version=*/1, /*expected=*/0);
  if (tier == v1::TIER_TEAM) {
    PutMembership(org, std::string(kDefaultTeam), user.id(), v1::TEAM_ROLE_MEMBER, user.create_time(), mutation);
  }
  return absl::OkStatus();
}

absl::Status CheckNotLastAdmin(const storage::StoreView& view, const std::string& org, const std::string& user) {
  const std::string name = absl::StrCat("orgs/", org, "/users/", user);
  const auto users = ScanRecords<records::UserRecord>(view, Table::kUser, org, "");
  if (!users.ok()) return FromStore(users.status(), name);
  for (const auto& other : *users) {
    if (other.record.role() == v1::ORG_ROLE_ADMIN && other.record.id() != user) return absl::OkStatus();
  }
  v1::ErrorDetail detail;
  detail.set_reason("LAST_ADMIN");
  detail.set_resource(name);
  detail.set_next_step("Make another user ADMIN first.");
  return MakeError(absl::StatusCode::kFailedPrecondition, absl::StrCat(name, ": is the organization's last ADMIN"),
                   detail);
}

}  // namespace keyferry::server
