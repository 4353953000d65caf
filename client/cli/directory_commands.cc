#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/context.h"
#include "keyferry/v1/directory.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

using Stub = v1::DirectoryService::Stub;

// The parser allows nothing but the roles.
v1::OrgRole OrgRoleOf(const std::string& text) { return text == "admin" ? v1::ORG_ROLE_ADMIN : v1::ORG_ROLE_MEMBER; }

v1::TeamRole TeamRoleOf(const std::string& text) {
  if (text == "owner") return v1::TEAM_ROLE_OWNER;
  return text == "admin" ? v1::TEAM_ROLE_ADMIN : v1::TEAM_ROLE_MEMBER;
}

// Makes a command that deletes one resource of `collection`.
template <typename Request, typename Method>
auto Deleter(const std::string& collection, const std::string& consequence, Method method) {
  return [=](Context& context, const Arguments& arguments) -> Outcome {
    Request request;
    KEYFERRY_RETURN_IF_FAILED(context.ResourceName(collection, arguments.Text("ID"), request.mutable_name()));
    KEYFERRY_RETURN_IF_FAILED(
        context.Confirm(absl::StrCat("Delete ", request.name(), consequence, "?"), arguments.Has("--yes")));
    google::protobuf::Empty empty;
    KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, method, request, &empty));
    context.printer().Done("deleted", request.name(), absl::StrCat("Deleted ", request.name()));
    return std::nullopt;
  };
}

Outcome CreateUser(Context& context, const Arguments& arguments) {
  v1::CreateUserRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_parent()));
  request.set_user_id(arguments.Text("ID"));
  request.mutable_user()->set_display_name(arguments.Text("--display-name"));
  request.mutable_user()->set_role(OrgRoleOf(arguments.Text("--role")));
  v1::User user;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::CreateUser, request, &user));
  context.printer().Message(user);
  return std::nullopt;
}

Outcome ListUsers(Context& context, const Arguments&) {
  v1::ListUsersRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_parent()));
  std::vector<v1::User> users;
  KEYFERRY_RETURN_IF_FAILED(context.List(&Stub::ListUsers, request, &v1::ListUsersResponse::users, &users));
  context.PrintList(
      users, {{"ID", "name", true}, {"ROLE", "role"}, {"DISPLAY-NAME", "display_name"}, {"CREATED", "create_time"}});
  return std::nullopt;
}

Outcome DescribeUser(Context& context, const Arguments& arguments) {
  v1::GetUserRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.ResourceName("users", arguments.Text("ID"), request.mutable_name()));
  v1::User user;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kYes, &Stub::GetUser, request, &user));
  context.printer().Message(user);
  return std::nullopt;
}

Outcome SetUserRole(Context& context, const Arguments& arguments) {
  v1::UpdateUserRequest request;
  KEYFERRY_RETURN_IF_FAILED(
      context.ResourceName("users", arguments.Text("ID"), request.mutable_user()->mutable_name()));
  request.mutable_user()->set_role(OrgRoleOf(arguments.Text("ROLE")));
  request.mutable_update_mask()->add_paths("role");
  v1::User user;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kYes, &Stub::UpdateUser, request, &user));
  context.printer().Message(user);
  return std::nullopt;
}

// Says whose ID tokens call as the user; nobody's in particular without options.
Outcome SetUserIdentity(Context& context, const Arguments& arguments) {
  v1::UpdateUserRequest request;
  v1::User& user = *request.mutable_user();
  KEYFERRY_RETURN_IF_FAILED(context.ResourceName("users", arguments.Text("ID"), user.mutable_name()));
  user.set_issuer(arguments.Text("--issuer"));
  user.set_subject(arguments.Text("--subject"));
  request.mutable_update_mask()->add_paths("issuer");
  v1::User updated;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kYes, &Stub::UpdateUser, request, &updated));
  context.printer().Message(updated);
  return std::nullopt;
}

Outcome CreateTeam(Context& context, const Arguments& arguments) {
  v1::CreateTeamRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_parent()));
  request.set_team_id(arguments.Text("ID"));
  request.mutable_team()->set_display_name(arguments.Text("--display-name"));
  v1::Team team;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::CreateTeam, request, &team));
  context.printer().Message(team);
  return std::nullopt;
}

Outcome ListTeams(Context& context, const Arguments&) {
  v1::ListTeamsRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_parent()));
  std::vector<v1::Team> teams;
  KEYFERRY_RETURN_IF_FAILED(context.List(&Stub::ListTeams, request, &v1::ListTeamsResponse::teams, &teams));
  context.PrintList(
      teams,
      {{"ID", "name", true}, {"DISPLAY-NAME", "display_name"}, {"SUSPENDED", "suspended"}, {"CREATED", "create_time"}});
  return std::nullopt;
}

Outcome MemberName(Context& context, const Arguments& arguments, std::string* name) {
  std::string team;
  KEYFERRY_RETURN_IF_FAILED(context.ResourceName("teams", arguments.Text("TEAM"), &team));
  const std::string& user = arguments.Text("USER");
  if (user.empty() || absl::StrContains(user, "/")) {
    return BadData(absl::StrCat("not a user's id: ", user.empty() ? "(empty)" : user, "; give the id alone"));
  }
  *name = absl::StrCat(team, "/members/", user);
  return std::nullopt;
}

Outcome AddMember(Context& context, const Arguments& arguments) {
  v1::SetTeamMemberRequest request;
  KEYFERRY_RETURN_IF_FAILED(MemberName(context, arguments, request.mutable_member()->mutable_name()));
  request.mutable_member()->set_role(TeamRoleOf(arguments.Text("--role")));
  v1::TeamMember member;
  if (arguments.Text("--role").empty()) {
    // Whoever does not name a role means to change none.
    v1::ListTeamMembersRequest list;
    KEYFERRY_RETURN_IF_FAILED(context.ResourceName("teams", arguments.Text("TEAM"), list.mutable_parent()));
    std::vector<v1::TeamMember> members;
    KEYFERRY_RETURN_IF_FAILED(
        context.List(&Stub::ListTeamMembers, list, &v1::ListTeamMembersResponse::members, &members));
    const auto known = std::find_if(members.begin(), members.end(),
                                    [&](const v1::TeamMember& one) { return one.name() == request.member().name(); });
    if (known != members.end()) {
      *context.streams().error << "keyferry: they are a member already, and keep their role; --role changes it\n";
      context.printer().Message(*known);
      return std::nullopt;
    }
  }
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kYes, &Stub::SetTeamMember, request, &member));
  context.printer().Message(member);
  return std::nullopt;
}

Outcome RemoveMember(Context& context, const Arguments& arguments) {
  v1::RemoveTeamMemberRequest request;
  KEYFERRY_RETURN_IF_FAILED(MemberName(context, arguments, request.mutable_name()));
  google::protobuf::Empty empty;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::RemoveTeamMember, request, &empty));
  context.printer().Done("removed", request.name(), absl::StrCat("Removed ", request.name()));
  return std::nullopt;
}

Outcome ListMembers(Context& context, const Arguments& arguments) {
  v1::ListTeamMembersRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.ResourceName("teams", arguments.Text("TEAM"), request.mutable_parent()));
  std::vector<v1::TeamMember> members;
  KEYFERRY_RETURN_IF_FAILED(
      context.List(&Stub::ListTeamMembers, request, &v1::ListTeamMembersResponse::members, &members));
  context.PrintList(members, {{"USER", "name", true}, {"ROLE", "role"}, {"SINCE", "create_time"}});
  return std::nullopt;
}

Outcome CreateService(Context& context, const Arguments& arguments) {
  v1::CreateServiceRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_parent()));
  request.set_service_id(arguments.Text("ID"));
  request.mutable_service()->set_display_name(arguments.Text("--display-name"));
  request.mutable_service()->set_role(OrgRoleOf(arguments.Text("--role")));
  request.mutable_service()->set_can_create_sessions(arguments.Has("--can-create-sessions"));
  v1::Service service;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::CreateService, request, &service));
  context.printer().Message(service);
  return std::nullopt;
}

Outcome UpdateService(Context& context, const Arguments& arguments) {
  v1::UpdateServiceRequest request;
  v1::Service* service = request.mutable_service();
  KEYFERRY_RETURN_IF_FAILED(context.ResourceName("services", arguments.Text("ID"), service->mutable_name()));
  if (arguments.Has("--role")) {
    service->set_role(OrgRoleOf(arguments.Text("--role")));
    request.mutable_update_mask()->add_paths("role");
  }
  if (arguments.Has("--display-name")) {
    service->set_display_name(arguments.Text("--display-name"));
    request.mutable_update_mask()->add_paths("display_name");
  }
  if (arguments.Has("--can-create-sessions") || arguments.Has("--cannot-create-sessions")) {
    service->set_can_create_sessions(arguments.Has("--can-create-sessions"));
    request.mutable_update_mask()->add_paths("can_create_sessions");
  }
  if (request.update_mask().paths().empty()) {
    return UsageFailure(
        "nothing to change: keyferry service update; give --role, --display-name, --can-create-sessions or "
        "--cannot-create-sessions");
  }
  v1::Service updated;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kYes, &Stub::UpdateService, request, &updated));
  context.printer().Message(updated);
  return std::nullopt;
}

Outcome ListServices(Context& context, const Arguments&) {
  v1::ListServicesRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_parent()));
  std::vector<v1::Service> services;
  KEYFERRY_RETURN_IF_FAILED(context.List(&Stub::ListServices, request, &v1::ListServicesResponse::services, &services));
  context.PrintList(services, {{"ID", "name", true},
                               {"ROLE", "role"},
                               {"SESSIONS", "can_create_sessions"},
                               {"DISPLAY-NAME", "display_name"},
                               {"CREATED", "create_time"}});
  return std::nullopt;
}

const Option& DisplayNameOption() {
  static const auto* const kOption = new Option{"--display-name", ValueKind::kText, "TEXT", "A name for people"};
  return *kOption;
}

const Option& OrgRoleOption() {
  static const auto* const kOption =
      new Option{"--role", ValueKind::kText, "ROLE", "Role in the organization (default: member)", {"admin", "member"}};
  return *kOption;
}

void AddUserCommands(CommandTree& tree) {
  const Positional id = {"ID", "The user's id"};
  tree.groups.push_back({"user", "Manage the organization's users"});
  tree.commands.push_back(
      {"user create", "Add a user", "", {id}, {OrgRoleOption(), DisplayNameOption()}, {}, CreateUser});
  tree.commands.push_back({"user list", "List users", "", {}, {}, {}, ListUsers});
  tree.commands.push_back({"user describe", "Show one user", "", {id}, {}, {}, DescribeUser});
  tree.commands.push_back({"user set-role",
                           "Change a user's role in the organization",
                           "",
                           {id, {"ROLE", "The new role", {"admin", "member"}}},
                           {},
                           {},
                           SetUserRole});
  tree.commands.push_back(
      {"user bind",
       "Say whose ID tokens alone call as a user",
       "The first token that comes for a user who is bound to nobody does this by itself, where the "
       "issuer is configured for existing users and the user is named by `sub`. Nobody is two users.",
       {id},
       {{"--issuer", ValueKind::kText, "NAME", "The issuer, as keyferryd's configuration calls it", {}, true},
        {"--subject", ValueKind::kText, "SUB", "`sub` of its tokens", {}, true}},
       {},
       SetUserIdentity});
  tree.commands.push_back(
      {"user unbind", "Let go of whose ID tokens call as a user", "", {id}, {}, {}, SetUserIdentity});
  tree.commands.push_back(
      {"user delete",
       "Delete a user with their credentials, memberships and tokens",
       "",
       {id},
       {YesOption()},
       {},
       Deleter<v1::DeleteUserRequest>("users", " with their credentials, memberships and tokens", &Stub::DeleteUser)});
}

void AddTeamCommands(CommandTree& tree) {
  const Positional id = {"ID", "The team's id"};
  const Positional team = {"TEAM", "The team's id"};
  const Positional user = {"USER", "The user's id"};
  const Option role = {"--role",
                       ValueKind::kText,
                       "ROLE",
                       "Role in the team (default: member, or the one that they have)",
                       {"owner", "admin", "member"}};
  tree.groups.push_back({"team", "Manage teams and their members"});
  tree.commands.push_back({"team create", "Add a team", "", {id}, {DisplayNameOption()}, {}, CreateTeam});
  tree.commands.push_back({"team list", "List teams", "", {}, {}, {}, ListTeams});
  tree.commands.push_back(
      {"team delete",
       "Delete a team with its credentials and MCP servers",
       "",
       {id},
       {YesOption()},
       {},
       Deleter<v1::DeleteTeamRequest>("teams", " with its credentials and MCP servers", &Stub::DeleteTeam)});
  tree.commands.push_back(
      {"team add-member", "Add a user to a team, or change their role", "", {team, user}, {role}, {}, AddMember});
  tree.commands.push_back({"team remove-member", "Take a user out of a team", "", {team, user}, {}, {}, RemoveMember});
  tree.commands.push_back({"team members", "List a team's members", "", {team}, {}, {}, ListMembers});
}

void AddServiceCommands(CommandTree& tree) {
  const Positional id = {"ID", "The service's id"};
  tree.groups.push_back({"service", "Manage the identities of programs that use Keyferry's API"});
  const Option may_create_sessions = {"--can-create-sessions", ValueKind::kFlag, "",
                                      "Let it create sessions for every user of the organization"};
  tree.commands.push_back({"service create",
                           "Add a service",
                           "",
                           {id},
                           {OrgRoleOption(), may_create_sessions, DisplayNameOption()},
                           {},
                           CreateService});
  tree.commands.push_back(
      {"service update",
       "Change a service's role, its name for people, or whether it may create sessions",
       "Sessions that it created go on; `keyferry session revoke` ends them, as does `keyferry service delete`.",
       {id},
       {{"--role", ValueKind::kText, "ROLE", "Role in the organization", {"admin", "member"}},
        may_create_sessions,
        {"--cannot-create-sessions", ValueKind::kFlag, "", "Let it create no more sessions"},
        DisplayNameOption()},
       {{"--can-create-sessions", "--cannot-create-sessions"}},
       UpdateService});
  tree.commands.push_back({"service list", "List services", "", {}, {}, {}, ListServices});
  tree.commands.push_back(
      {"service delete",
       "Delete a service with its tokens and the sessions that it created",
       "",
       {id},
       {YesOption()},
       {},
       Deleter<v1::DeleteServiceRequest>("services", " with its tokens and sessions", &Stub::DeleteService)});
}

}  // namespace

void AddDirectoryCommands(CommandTree& tree) {
  AddUserCommands(tree);
  AddTeamCommands(tree);
  AddServiceCommands(tree);
}

}  // namespace keyferry::client::cli
