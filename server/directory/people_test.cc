#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/directory/testing_directory.h"

namespace keyferry::server {
namespace {

v1::DeleteUserRequest DeleteOf(const std::string& user) {
  v1::DeleteUserRequest request;
  request.set_name("orgs/acme/users/" + user);
  return request;
}

v1::UpdateUserRequest RoleChange(const std::string& user, v1::OrgRole role) {
  v1::UpdateUserRequest request;
  request.mutable_user()->set_name("orgs/acme/users/" + user);
  request.mutable_user()->set_role(role);
  return request;
}

std::string MembersOf(TestDirectory& directory, const std::string& team) {
  v1::ListTeamMembersRequest request;
  request.set_parent("orgs/acme/teams/" + team);
  std::string text;
  const auto members = directory.teams.ListTeamMembers(directory.Root(), request);
  if (!members.ok()) return ReasonOf(members.status());
  for (const auto& member : members->members()) {
    text += member.name().substr(member.name().rfind('/') + 1) + ":" + v1::TeamRole_Name(member.role()) + " ";
  }
  return text;
}

TEST(UsersTest, TheLastAdminStays) {
  TestDirectory directory;
  directory.AddUser("ada");
  EXPECT_EQ(ReasonOf(directory.users.DeleteUser(directory.Root(), DeleteOf("root")).status()), "LAST_ADMIN");
  EXPECT_EQ(ReasonOf(directory.users.UpdateUser(directory.Root(), RoleChange("root", v1::ORG_ROLE_MEMBER)).status()),
            "LAST_ADMIN");
  ASSERT_TRUE(directory.users.UpdateUser(directory.Root(), RoleChange("ada", v1::ORG_ROLE_ADMIN)).ok());
  const Caller root = directory.Root();
  ASSERT_TRUE(directory.users.UpdateUser(root, RoleChange("root", v1::ORG_ROLE_MEMBER)).ok());
  EXPECT_EQ(ReasonOf(directory.users.DeleteUser(directory.As("orgs/acme/users/ada"), DeleteOf("ada")).status()),
            "LAST_ADMIN");
}

TEST(UsersTest, DeletionTakesEverythingOfTheUserAndNothingElse) {
  TestDirectory directory;
  directory.AddUser("ada");
  directory.AddUser("adam");
  directory.AddTeam("eng");
  directory.AddMember("eng", "ada", v1::TEAM_ROLE_OWNER);
  directory.AddMember("eng", "adam", v1::TEAM_ROLE_MEMBER);
  for (const std::string parent : {"users/ada", "users/adam", "teams/eng", ""}) directory.PutCredential(parent, "A");
  ASSERT_TRUE(directory.users.DeleteUser(directory.Root(), DeleteOf("ada")).ok());
  EXPECT_FALSE(directory.HasCredential("users/ada", "A"));
  for (const std::string parent : {"users/adam", "teams/eng", ""}) EXPECT_TRUE(directory.HasCredential(parent, "A"));
  EXPECT_EQ(MembersOf(directory, "eng"), "adam:TEAM_ROLE_MEMBER ");
  EXPECT_EQ(directory.users.DeleteUser(directory.Root(), DeleteOf("ada")).status().code(), absl::StatusCode::kNotFound);
}

TEST(UsersTest, ANewUserInheritsNothingOfAnEarlierOne) {
  TestDirectory directory;
  directory.PutCredential("users/ada", "LEFT_BEHIND");
  directory.AddUser("ada");
  EXPECT_FALSE(directory.HasCredential("users/ada", "LEFT_BEHIND"));
}

TEST(UsersTest, MembersSeeThemselvesAlone) {
  TestDirectory directory;
  directory.AddUser("ada");
  directory.AddUser("bob");
  const Caller ada = directory.As("orgs/acme/users/ada");
  v1::ListUsersRequest list;
  list.set_parent("orgs/acme");
  EXPECT_EQ(directory.users.ListUsers(ada, list)->users_size(), 1);
  EXPECT_EQ(directory.users.ListUsers(directory.Root(), list)->users_size(), 3);
  v1::GetUserRequest get;
  get.set_name("orgs/acme/users/bob");
  const absl::Status hidden = directory.users.GetUser(ada, get).status();
  get.set_name("orgs/acme/users/nobody");
  const absl::Status absent = directory.users.GetUser(ada, get).status();
  EXPECT_EQ(hidden.message(), "orgs/acme/users/bob: not found");
  EXPECT_EQ(absent.message(), "orgs/acme/users/nobody: not found");
  EXPECT_EQ(hidden.code(), absent.code());
  EXPECT_EQ(directory.users.DeleteUser(ada, DeleteOf("bob")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(directory.users.DeleteUser(ada, DeleteOf("ada")).status().code(), absl::StatusCode::kPermissionDenied);
}

TEST(UsersTest, CreationRefusesBadInputAndChangesNothing) {
  TestDirectory directory;
  struct Case {
    std::string name;
    std::string parent;
    std::string id;
    v1::OrgRole role;
    std::string message;
  };
  const Caller root = directory.Root();
  for (const Case& c :
       {Case{"no parent", "", "x", v1::ORG_ROLE_MEMBER, "parent: required"},
        Case{"team parent", "orgs/acme/teams/eng", "x", v1::ORG_ROLE_MEMBER, "parent: not an organization"},
        Case{"no id", "orgs/acme", "", v1::ORG_ROLE_MEMBER, "user_id: an id is missing"},
        Case{"upper case", "orgs/acme", "Ada", v1::ORG_ROLE_MEMBER,
             "user_id: an id has characters that are not allowed"},
        Case{"no role", "orgs/acme", "x", v1::ORG_ROLE_UNSPECIFIED, "user.role: not a role"},
        Case{"duplicate", "orgs/acme", "root", v1::ORG_ROLE_MEMBER, "orgs/acme/users/root: already exists"},
        Case{"other org", "orgs/rival", "x", v1::ORG_ROLE_MEMBER, "orgs/rival/users/x: not found"}}) {
    SCOPED_TRACE(c.name);
    v1::CreateUserRequest request;
    request.set_parent(c.parent);
    request.set_user_id(c.id);
    request.mutable_user()->set_role(c.role);
    EXPECT_EQ(directory.users.CreateUser(root, request).status().message(), c.message);
  }
  v1::ListUsersRequest list;
  list.set_parent("orgs/acme");
  EXPECT_EQ(directory.users.ListUsers(root, list)->users_size(), 1);
}

TEST(TeamsTest, LeadsManageMembersAndNobodyElseDoes) {
  TestDirectory directory;
  for (const std::string user : {"olga", "mem", "out"}) directory.AddUser(user);
  directory.AddTeam("eng");
  directory.AddMember("eng", "olga", v1::TEAM_ROLE_OWNER);
  directory.AddMember("eng", "mem", v1::TEAM_ROLE_MEMBER);
  v1::SetTeamMemberRequest set;
  set.mutable_member()->set_name("orgs/acme/teams/eng/members/out");
  set.mutable_member()->set_role(v1::TEAM_ROLE_ADMIN);
  EXPECT_EQ(directory.teams.SetTeamMember(directory.As("orgs/acme/users/mem"), set).status().code(),
            absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(directory.teams.SetTeamMember(directory.As("orgs/acme/users/out"), set).status().code(),
            absl::StatusCode::kNotFound);
  ASSERT_TRUE(directory.teams.SetTeamMember(directory.As("orgs/acme/users/olga"), set).ok());
  EXPECT_EQ(MembersOf(directory, "eng"), "mem:TEAM_ROLE_MEMBER olga:TEAM_ROLE_OWNER out:TEAM_ROLE_ADMIN ");
  v1::RemoveTeamMemberRequest remove;
  remove.set_name("orgs/acme/teams/eng/members/mem");
  ASSERT_TRUE(directory.teams.RemoveTeamMember(directory.As("orgs/acme/users/out"), remove).ok());
  EXPECT_EQ(directory.As("orgs/acme/users/mem").RoleIn("eng"), v1::TEAM_ROLE_UNSPECIFIED);
}

TEST(TeamsTest, MembersMustBeUsersAndTeamsMustExist) {
  TestDirectory directory;
  directory.AddTeam("eng");
  v1::SetTeamMemberRequest set;
  set.mutable_member()->set_role(v1::TEAM_ROLE_ADMIN);
  set.mutable_member()->set_name("orgs/acme/teams/eng/members/nobody");
  EXPECT_EQ(directory.teams.SetTeamMember(directory.Root(), set).status().message(),
            "orgs/acme/users/nobody: not found");
  set.mutable_member()->set_name("orgs/acme/teams/none/members/root");
  EXPECT_EQ(directory.teams.SetTeamMember(directory.Root(), set).status().message(), "orgs/acme/teams/none: not found");
  set.mutable_member()->set_name("orgs/acme/users/root/members/root");
  EXPECT_EQ(directory.teams.SetTeamMember(directory.Root(), set).status().code(), absl::StatusCode::kInvalidArgument);
  set.mutable_member()->set_name("orgs/acme/teams/eng/members/root");
  set.mutable_member()->set_role(v1::TEAM_ROLE_UNSPECIFIED);
  EXPECT_EQ(directory.teams.SetTeamMember(directory.Root(), set).status().message(), "member.role: not a role");
}

TEST(TeamsTest, DeletionTakesMembersAndCredentials) {
  TestDirectory directory;
  directory.AddUser("ada");
  directory.AddTeam("eng");
  directory.AddMember("eng", "ada", v1::TEAM_ROLE_OWNER);
  directory.PutCredential("teams/eng", "A");
  v1::DeleteTeamRequest remove;
  remove.set_name("orgs/acme/teams/eng");
  EXPECT_EQ(directory.teams.DeleteTeam(directory.As("orgs/acme/users/ada"), remove).status().code(),
            absl::StatusCode::kPermissionDenied);
  ASSERT_TRUE(directory.teams.DeleteTeam(directory.Root(), remove).ok());
  EXPECT_FALSE(directory.HasCredential("teams/eng", "A"));
  EXPECT_EQ(directory.As("orgs/acme/users/ada").RoleIn("eng"), v1::TEAM_ROLE_UNSPECIFIED);
  directory.AddTeam("eng");
  EXPECT_EQ(MembersOf(directory, "eng"), "") << "nobody joins by creating";
}

TEST(WorkloadsTest, GrantsAreCheckedAndReplaced) {
  TestDirectory directory;
  const Caller root = directory.Root();
  v1::CreateWorkloadRequest create;
  create.set_parent("orgs/acme");
  create.set_workload_id("w");
  for (const std::string bad : {"", "x", "orgs/rival/mcpServers/a", "orgs/acme/users/root/mcpServers/a",
                                "orgs/acme/mcpServers/A", "orgs/acme/credentials/A"}) {
    create.mutable_workload()->clear_mcp_servers();
    create.mutable_workload()->add_mcp_servers(bad);
    EXPECT_EQ(directory.principals.CreateWorkload(root, create).status().code(), absl::StatusCode::kInvalidArgument)
        << bad;
  }
  create.mutable_workload()->clear_mcp_servers();
  create.mutable_workload()->add_mcp_servers("orgs/acme/mcpServers/a");
  ASSERT_TRUE(directory.principals.CreateWorkload(root, create).ok());
  EXPECT_EQ(directory.principals.CreateWorkload(root, create).status().code(), absl::StatusCode::kAlreadyExists);
  v1::UpdateWorkloadRequest update;
  update.mutable_workload()->set_name("orgs/acme/workloads/w");
  update.mutable_update_mask()->add_paths("mcp_servers");
  ASSERT_TRUE(directory.principals.UpdateWorkload(root, update).ok());
  EXPECT_TRUE(directory.As("orgs/acme/workloads/w").granted_mcp_servers.empty());
  v1::ListWorkloadsRequest list;
  list.set_parent("orgs/acme");
  directory.AddUser("ada");
  EXPECT_EQ(directory.principals.ListWorkloads(root, list)->workloads_size(), 1);
  EXPECT_EQ(directory.principals.ListWorkloads(directory.As("orgs/acme/users/ada"), list)->workloads_size(), 0);
}

TEST(ServicesTest, DeletionEndsItsTokens) {
  TestDirectory directory;
  v1::CreateServiceRequest create;
  create.set_parent("orgs/acme");
  create.set_service_id("ci");
  create.mutable_service()->set_role(v1::ORG_ROLE_MEMBER);
  ASSERT_TRUE(directory.principals.CreateService(directory.Root(), create).ok());
  const std::string bearer = directory.Login("orgs/acme/services/ci");
  ASSERT_TRUE(directory.Authenticate(bearer).ok());
  v1::DeleteServiceRequest remove;
  remove.set_name("orgs/acme/services/ci");
  ASSERT_TRUE(directory.principals.DeleteService(directory.Root(), remove).ok());
  EXPECT_EQ(ReasonOf(directory.Authenticate(bearer)), "TOKEN_UNKNOWN");
}

}  // namespace
}  // namespace keyferry::server
