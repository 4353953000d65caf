#include "server/identity/authenticator.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/directory/testing_directory.h"
#include "server/identity/token_text.h"

namespace keyferry::server {
namespace {

TEST(AuthenticatorTest, RefusesWithReasonsAndWithoutEcho) {
  TestDirectory directory;
  const std::string good = directory.Login("orgs/acme/users/root");
  std::string typo = good;
  typo[20] = typo[20] == 'a' ? 'b' : 'a';
  const std::string unknown = absl::StrCat("Bearer ", MakeTokenText(PrincipalKind::kUser).Expose());
  struct Case {
    std::string name;
    std::string authorization;
    std::string reason;
  };
  for (const Case& c :
       {Case{"missing", "", "TOKEN_MISSING"}, Case{"no scheme", good.substr(7), "TOKEN_MALFORMED"},
        Case{"other scheme", "Basic dXNlcjpwdw==", "TOKEN_MALFORMED"}, Case{"typo", typo, "TOKEN_MALFORMED"},
        Case{"trailing space", good + " ", "TOKEN_MALFORMED"}, Case{"unknown", unknown, "TOKEN_UNKNOWN"}}) {
    SCOPED_TRACE(c.name);
    const absl::Status status = directory.Authenticate(c.authorization);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
    EXPECT_EQ(ReasonOf(status), c.reason);
    EXPECT_EQ(status.ToString(absl::StatusToStringMode::kWithEverything).find(good.substr(12, 20)), std::string::npos);
  }
  EXPECT_TRUE(directory.Authenticate(good).ok());
  EXPECT_TRUE(directory.Authenticate("bearer " + good.substr(7)).ok()) << "the scheme's case does not matter";
}

TEST(AuthenticatorTest, SeesRoleAndTeamChangesAtOnce) {
  TestDirectory directory;
  directory.AddUser("ada");
  directory.AddTeam("eng");
  const std::string bearer = directory.Login("orgs/acme/users/ada");
  EXPECT_EQ((*directory.authenticator.Authenticate(bearer))->role, v1::ORG_ROLE_MEMBER);
  v1::UpdateUserRequest update;
  update.mutable_user()->set_name("orgs/acme/users/ada");
  update.mutable_user()->set_role(v1::ORG_ROLE_ADMIN);
  ASSERT_TRUE(directory.users.UpdateUser(directory.Root(), update).ok());
  EXPECT_EQ((*directory.authenticator.Authenticate(bearer))->role, v1::ORG_ROLE_ADMIN);
  EXPECT_EQ((*directory.authenticator.Authenticate(bearer))->RoleIn("eng"), v1::TEAM_ROLE_UNSPECIFIED);
  directory.AddMember("eng", "ada", v1::TEAM_ROLE_OWNER);
  EXPECT_EQ((*directory.authenticator.Authenticate(bearer))->RoleIn("eng"), v1::TEAM_ROLE_OWNER);
  directory.SetTier(v1::TIER_FREE);
  EXPECT_EQ((*directory.authenticator.Authenticate(bearer))->tier, v1::TIER_FREE);
}

TEST(AuthenticatorTest, ServesRepeatedCallsFromTheCache) {
  TestDirectory directory;
  const std::string bearer = directory.Login("orgs/acme/users/root");
  const auto first = directory.authenticator.Authenticate(bearer);
  const auto second = directory.authenticator.Authenticate(bearer);
  EXPECT_EQ(first->get(), second->get());
}

TEST(AuthenticatorTest, TheCacheIsBounded) {
  TestDirectory directory;
  Authenticator small(directory.store.get(), directory.context.clock, /*external=*/nullptr, /*people=*/nullptr,
                      /*max_cached=*/2);
  const std::string bearers[] = {directory.Login("orgs/acme/users/root"), directory.Login("orgs/acme/users/root"),
                                 directory.Login("orgs/acme/users/root")};
  const auto first = small.Authenticate(bearers[0]);
  for (const std::string& bearer : bearers) ASSERT_TRUE(small.Authenticate(bearer).ok());
  EXPECT_NE(small.Authenticate(bearers[0])->get(), first->get()) << "dropped when the third came";
}

TEST(AuthenticatorTest, DeletedPrincipalsAndOrgsAreUnknown) {
  TestDirectory directory;
  directory.AddUser("ada");
  const std::string ada = directory.Login("orgs/acme/users/ada");
  const std::string root = directory.Login("orgs/acme/users/root");
  ASSERT_TRUE(directory.Authenticate(ada).ok());
  v1::DeleteUserRequest remove;
  remove.set_name("orgs/acme/users/ada");
  ASSERT_TRUE(directory.users.DeleteUser(directory.Root(), remove).ok());
  EXPECT_EQ(ReasonOf(directory.Authenticate(ada)), "TOKEN_UNKNOWN");
  directory.AddUser("ada");
  EXPECT_EQ(ReasonOf(directory.Authenticate(ada)), "TOKEN_UNKNOWN") << "a new user of the same id is somebody else";

  ASSERT_TRUE(directory.Authenticate(root).ok());
  v1::GetOrgRequest get;
  get.set_name("orgs/acme");
  v1::DeleteOrgRequest remove_org;
  remove_org.set_name("orgs/acme");
  remove_org.set_etag(directory.orgs.GetOrg(directory.Root(), get)->etag());
  ASSERT_TRUE(directory.orgs.DeleteOrg(directory.Root(), remove_org).ok());
  EXPECT_EQ(ReasonOf(directory.Authenticate(root)), "TOKEN_UNKNOWN");
}

TEST(AuthenticatorTest, WorkloadsCarryTheirGrantsAndServicesTheirRole) {
  TestDirectory directory;
  v1::CreateWorkloadRequest workload;
  workload.set_parent("orgs/acme");
  workload.set_workload_id("w");
  workload.mutable_workload()->add_mcp_servers("orgs/acme/mcpServers/github");
  ASSERT_TRUE(directory.principals.CreateWorkload(directory.Root(), workload).ok());
  v1::CreateServiceRequest service;
  service.set_parent("orgs/acme");
  service.set_service_id("ci");
  service.mutable_service()->set_role(v1::ORG_ROLE_ADMIN);
  ASSERT_TRUE(directory.principals.CreateService(directory.Root(), service).ok());
  const Caller w = directory.As("orgs/acme/workloads/w");
  EXPECT_EQ(w.kind, PrincipalKind::kWorkload);
  EXPECT_EQ(w.granted_mcp_servers, std::vector<std::string>{"orgs/acme/mcpServers/github"});
  EXPECT_EQ(w.role, v1::ORG_ROLE_UNSPECIFIED);
  const Caller ci = directory.As("orgs/acme/services/ci");
  EXPECT_EQ(ci.kind, PrincipalKind::kService);
  EXPECT_EQ(ci.role, v1::ORG_ROLE_ADMIN);
}

}  // namespace
}  // namespace keyferry::server
