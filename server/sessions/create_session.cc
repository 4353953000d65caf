// Makes sessions: what is asked is checked in form first, then against one view of the store.
#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/audit/call_record.h"
#include "server/directory/common.h"
#include "server/errors.h"
#include "server/identity/load_user.h"
#include "server/mcpservers/definition.h"
#include "server/sessions/conversion.h"
#include "server/sessions/session_keys.h"
#include "server/sessions/session_rules.h"
#include "server/sessions/session_text.h"
#include "server/status_macros.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

constexpr absl::Duration kDefaultTtl = absl::Hours(1);
constexpr absl::Duration kMinTtl = absl::Minutes(1);
constexpr absl::Duration kMaxTtl = absl::Hours(24);
constexpr int kMaxMcpServers = 64;
// How often a create is tried while what it depends on keeps changing.
constexpr int kMaxAttempts = 4;

absl::StatusOr<absl::Duration> Ttl(const v1::CreateSessionRequest& request) {
  if (!request.has_ttl()) return kDefaultTtl;
  constexpr char kRange[] = "Ask for 1 minute to 24 hours.";
  const google::protobuf::Duration& asked = request.ttl();
  // Range-checked before arithmetic: the fields may hold anything.
  if (asked.seconds() < 0 || asked.seconds() > absl::ToInt64Seconds(kMaxTtl) || asked.nanos() < 0 ||
      asked.nanos() > 999999999) {
    return InvalidField("ttl", "out of range", kRange);
  }
  const absl::Duration ttl = absl::Seconds(asked.seconds()) + absl::Nanoseconds(asked.nanos());
  if (ttl < kMinTtl || ttl > kMaxTtl) return InvalidField("ttl", "out of range", kRange);
  return ttl;
}

// A name of that kind within the org.
absl::StatusOr<ParentName> ParseOf(ParentName::Kind kind, absl::string_view name, absl::string_view org,
                                   absl::string_view field, absl::string_view form) {
  ASSIGN_OR_RETURN(ParentName parsed, ParseParent(name, field));
  if (parsed.kind != kind || parsed.org != org) {
    return InvalidField(field, "not a resource name of this kind in this organization", form);
  }
  return parsed;
}

absl::Status CheckMcpServers(const v1::Session& session, const std::string& org) {
  constexpr char kField[] = "session.mcp_servers";
  if (session.mcp_servers().empty()) return InvalidField(kField, "required", "Name 1 to 64 MCP servers.");
  if (session.mcp_servers_size() > kMaxMcpServers) {
    return InvalidField(kField, "more than 64", "Name at most 64 MCP servers.");
  }
  std::set<std::string> seen;
  for (int i = 0; i < session.mcp_servers_size(); ++i) {
    const std::string item = absl::StrCat(kField, "[", i, "]");
    ASSIGN_OR_RETURN(const ChildName server, ParseMcpServerName(session.mcp_servers(i), item));
    if (server.parent.org != org) {
      return InvalidField(item, "of another organization", "Name one of this organization.");
    }
    if (!seen.insert(session.mcp_servers(i)).second) {
      return InvalidField(item, "named twice", "Name each MCP server once.");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckForm(const v1::Session& session, const std::string& org) {
  if (!session.team().empty()) {
    RETURN_IF_ERROR(
        ParseOf(ParentName::kTeam, session.team(), org, "session.team", "Use `orgs/{org}/teams/{team}`.").status());
  }
  if (!session.workload().empty()) {
    RETURN_IF_ERROR(ParseOf(ParentName::kWorkload, session.workload(), org, "session.workload",
                            "Use `orgs/{org}/workloads/{workload}`.")
                        .status());
  }
  return CheckMcpServers(session, org);
}

// The user must be a member, and stay one until the session is stored.
absl::Status CheckTeam(const storage::StoreView& view, const Caller& user, const std::string& team_name,
                       storage::Mutation* mutation) {
  ASSIGN_OR_RETURN(const ParentName team, ParseParent(team_name, "session.team"));
  if (user.RoleIn(team.id) == v1::TEAM_ROLE_UNSPECIFIED) {
    // Whether there is such a team is the members' and ADMINs' to know.
    RETURN_IF_ERROR(Authorize(user, Action::kSee, {ResourceKind::kTeam, team.org, team.id, "", team_name}));
    const auto exists = view.Contains({Table::kTeam, team.org, "", team.id});
    if (!exists.ok()) return FromStore(exists.status(), team_name);
    if (!*exists) return NotFound(team_name);
    v1::ErrorDetail detail;
    detail.set_reason("NOT_A_TEAM_MEMBER");
    detail.set_resource(team_name);
    detail.set_next_step("Ask an OWNER or ADMIN of the team to add the user.");
    return MakeError(absl::StatusCode::kPermissionDenied,
                     absl::StrCat(team_name, ": its credentials answer for its members alone"), detail);
  }
  if (IsTeamSuspended(user.tier, team.id)) return Suspended(team_name);
  storage::RecordKey key{Table::kMembership, team.org, absl::StrCat("users/", user.id), team.id};
  const auto membership = view.Get(key);
  if (!membership.ok()) return FromStore(membership.status(), team_name);
  if (!membership->has_value()) return NotFound(team_name);
  mutation->Require(std::move(key), (*membership)->revision);
  return absl::OkStatus();
}

// Whether there is such a workload is for those alone to know who may see it; others may name any, as one that is not
// there presents nothing.
absl::Status CheckWorkload(const storage::StoreView& view, const Caller& caller, const std::string& name) {
  ASSIGN_OR_RETURN(const ParentName workload, ParseParent(name, "session.workload"));
  if (Decide(caller, Action::kSee, {ResourceKind::kWorkload, workload.org, "", "", name}) != Decision::kAllow) {
    return absl::OkStatus();
  }
  const auto exists = view.Contains({Table::kWorkload, workload.org, "", workload.id});
  if (!exists.ok()) return FromStore(exists.status(), name);
  if (*exists) return absl::OkStatus();
  v1::ErrorDetail detail;
  detail.set_reason("NOT_FOUND");
  detail.set_resource(name);
  detail.set_field("session.workload");
  detail.set_next_step("Check the name with `keyferry workload list`, or name no workload.");
  return MakeError(absl::StatusCode::kNotFound, absl::StrCat(name, ": not found"), detail);
}

// The MCP servers must be there, and the user's to launch.
absl::Status CheckLaunches(const storage::StoreView& view, const Caller& user, const records::SessionRecord& session) {
  for (const std::string& name : session.mcp_servers()) {
    ASSIGN_OR_RETURN(const ChildName server, ParseMcpServerName(name, "session.mcp_servers"));
    RETURN_IF_ERROR(Authorize(user, Action::kResolve, McpServerResource(server.parent, name)));
    const auto exists = view.Contains(McpServerKey(server));
    if (!exists.ok()) return FromStore(exists.status(), name);
    if (!*exists) return NotFound(name);
    if (server.parent.kind == ParentName::kTeam && IsTeamSuspended(user.tier, server.parent.id)) {
      return Suspended(server.parent.Name());
    }
  }
  return absl::OkStatus();
}

// A service that is deleted takes its sessions with it, so it must still be there when one is stored.
absl::Status RequireService(const storage::StoreView& view, const Caller& caller, storage::Mutation* mutation) {
  storage::RecordKey key{Table::kService, caller.org, "", caller.id};
  const auto service = view.Get(key);
  if (!service.ok()) return FromStore(service.status(), caller.Name());
  if (!service->has_value()) return NotFound(caller.Name());
  mutation->Require(std::move(key), (*service)->revision);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::CreateSessionResponse> SessionRules::CreateSession(const Caller& caller,
                                                                      const v1::CreateSessionRequest& request) {
  ASSIGN_OR_RETURN(const ParentName parent, ParseOrg(request.parent(), "parent"));
  const v1::Session& asked = request.session();
  ASSIGN_OR_RETURN(const ParentName user, ParseOf(ParentName::kUser, asked.user(), parent.org, "session.user",
                                                  "Use `orgs/{org}/users/{user}`."));
  RETURN_IF_ERROR(
      Authorize(caller, Action::kCreate, {ResourceKind::kSession, parent.org, /*team=*/"", user.id, parent.Name()}));
  RETURN_IF_ERROR(CheckForm(asked, parent.org));
  ASSIGN_OR_RETURN(const absl::Duration ttl, Ttl(request));
  const absl::Time now = clock_();
  absl::Time end = now + ttl;
  if (caller.kind == PrincipalKind::kUser) end = std::min(end, caller.token_expire_time);

  records::SessionRecord record;
  record.set_id(NewSessionId());
  record.set_user(asked.user());
  record.set_team(asked.team());
  *record.mutable_mcp_servers() = asked.mcp_servers();
  record.set_workload(asked.workload());
  record.set_create_time(absl::ToUnixNanos(now));
  // Whole seconds, as the token says it.
  record.set_expire_time(absl::ToUnixNanos(absl::FromUnixSeconds(absl::ToUnixSeconds(end))));
  record.set_creator(caller.Name());

  RETURN_IF_ERROR(quota_.Take(parent.org, record.id(), record.user(), record.expire_time(), absl::ToUnixNanos(now)));
  absl::StatusOr<v1::CreateSessionResponse> created = Store(caller, record, user);
  for (int attempt = 1; attempt < kMaxAttempts && absl::IsAborted(created.status()); ++attempt) {
    created = Store(caller, record, user);
  }
  if (created.ok()) {
    quota_.Keep(parent.org, record.id());
  } else {
    quota_.GiveBack(parent.org, record.id());
  }
  return created;
}

absl::StatusOr<v1::CreateSessionResponse> SessionRules::Store(const Caller& caller, records::SessionRecord record,
                                                              const ParentName& user_name) {
  const std::string& org = user_name.org;
  const std::unique_ptr<storage::StoreView> view = store_->View();
  auto user = LoadUser(*view, org, user_name.id);
  if (!user.ok()) return FromStore(user.status(), record.user());
  if (!user->has_value()) return NotFound(record.user());
  (*user)->caller.tier = caller.tier;
  record.set_user_create_time((*user)->create_time);

  storage::Mutation mutation;
  mutation.Require({Table::kUser, org, "", user_name.id}, (*user)->revision);
  if (caller.kind == PrincipalKind::kService) RETURN_IF_ERROR(RequireService(*view, caller, &mutation));
  if (!record.team().empty()) RETURN_IF_ERROR(CheckTeam(*view, (*user)->caller, record.team(), &mutation));
  if (!record.workload().empty()) RETURN_IF_ERROR(CheckWorkload(*view, caller, record.workload()));
  RETURN_IF_ERROR(CheckLaunches(*view, (*user)->caller, record));
  auto signer = SignerFor(*view, org, record.create_time(), &mutation);
  if (!signer.ok()) return FromStore(signer.status(), absl::StrCat("orgs/", org));

  v1::SessionTokenPayload payload;
  payload.set_version(1);
  payload.set_org(org);
  payload.set_session(record.id());
  payload.set_key_id(signer->key_id);
  payload.set_expire_time_seconds(absl::ToUnixSeconds(absl::FromUnixNanos(record.expire_time())));
  const storage::SecretBytes text = MakeSessionText(payload, *signer->signer);
  mutation.Put({Table::kSession, org, "", record.id()}, storage::SerializeSecret(record), /*version=*/1,
               /*expected=*/0);
  NoteResource(caller, absl::StrCat("orgs/", org, "/sessions/", record.id()));
  const auto committed = CommitAudited(store_, caller, std::move(mutation));
  if (!committed.ok()) return FromStore(committed.status(), absl::StrCat("orgs/", org));
  v1::CreateSessionResponse response;
  response.set_token(text.Expose().data(), text.size());
  *response.mutable_session() = ToSession(org, record);
  return response;
}

}  // namespace keyferry::server
