// What is deleted between the reads and the commit of a new session leaves no session behind.
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"
#include "server/directory/bootstrap.h"
#include "server/directory/principals.h"
#include "server/directory/teams.h"
#include "server/directory/testing_directory.h"
#include "server/directory/users.h"
#include "server/mcpservers/mcp_server_rules.h"
#include "server/pagination.h"
#include "server/sessions/session_rules.h"
#include "storage/crypto/testing_key_provider.h"
#include "storage/open.h"
#include "storage/testing_store.h"

namespace keyferry::server {
namespace {

class SessionRaceTest : public testing::Test {
 protected:
  SessionRaceTest() {
    store_ = *storage::OpenStoreOn(engine_.Borrow(), /*create=*/true, kek_);
    context_ = {store_.get(), [] { return absl::FromUnixSeconds(1800000000); }, &pages_, &changes_};
    EXPECT_TRUE(EnsureOrgWithAdmin(context_, "acme", v1::TIER_BUSINESS, "root").ok());
    root_.org = platform_.org = "acme";
    root_.id = "root";
    root_.role = v1::ORG_ROLE_ADMIN;
    platform_.kind = PrincipalKind::kService;
    platform_.id = "platform";
    platform_.role = v1::ORG_ROLE_MEMBER;
    platform_.can_create_sessions = true;
    root_.tier = platform_.tier = v1::TIER_BUSINESS;
    v1::CreateUserRequest user;
    user.set_parent("orgs/acme");
    user.set_user_id("ada");
    user.mutable_user()->set_role(v1::ORG_ROLE_MEMBER);
    EXPECT_TRUE(UserRules(context_).CreateUser(root_, user).ok());
    v1::CreateTeamRequest team;
    team.set_parent("orgs/acme");
    team.set_team_id("eng");
    EXPECT_TRUE(TeamRules(context_).CreateTeam(root_, team).ok());
    v1::SetTeamMemberRequest member;
    member.mutable_member()->set_name(kMember);
    member.mutable_member()->set_role(v1::TEAM_ROLE_MEMBER);
    EXPECT_TRUE(TeamRules(context_).SetTeamMember(root_, member).ok());
    v1::CreateServiceRequest service;
    service.set_parent("orgs/acme");
    service.set_service_id("platform");
    service.mutable_service()->set_role(v1::ORG_ROLE_MEMBER);
    EXPECT_TRUE(PrincipalRules(context_).CreateService(root_, service).ok());
    v1::ApplyMcpServerRequest server;
    server.mutable_mcp_server()->set_name("orgs/acme/mcpServers/github");
    server.mutable_mcp_server()->set_transport(v1::MCP_TRANSPORT_HTTP);
    EXPECT_TRUE(McpServerRules(store_.get(), context_.clock, &pages_).ApplyMcpServer(root_, server).ok());
  }

  // Creates a session while `meanwhile` happens just before it is committed.
  absl::Status CreateWhile(const std::function<absl::Status()>& meanwhile, const std::string& team = "") {
    v1::CreateSessionRequest request;
    request.set_parent("orgs/acme");
    request.mutable_session()->set_user("orgs/acme/users/ada");
    request.mutable_session()->set_team(team);
    request.mutable_session()->add_mcp_servers("orgs/acme/mcpServers/github");
    absl::Status done = absl::UnknownError("did not happen");
    engine_.BeforeNextCommit([&] { done = meanwhile(); });
    const absl::Status created =
        SessionRules(store_.get(), context_.clock, &pages_).CreateSession(platform_, request).status();
    EXPECT_TRUE(done.ok()) << done;
    return created;
  }
  int Stored() {
    int count = 0;
    EXPECT_TRUE(store_->View()
                    ->Scan(storage::Table::kSession, "acme", "",
                           [&](storage::Record) {
                             ++count;
                             return true;
                           })
                    .ok());
    return count;
  }

  static constexpr char kTeam[] = "orgs/acme/teams/eng";
  static constexpr char kMember[] = "orgs/acme/teams/eng/members/ada";

  storage::FakeKeyProvider kek_{1};
  storage::TestEngine engine_{storage::EngineKind::kMemory};
  std::unique_ptr<storage::Store> store_;
  PageTokens pages_;
  absl::Mutex changes_;
  DirectoryContext context_;
  Caller root_;
  Caller platform_;
};

TEST_F(SessionRaceTest, TheUserIsDeleted) {
  v1::DeleteUserRequest request;
  request.set_name("orgs/acme/users/ada");
  EXPECT_EQ(ReasonOf(CreateWhile([&] { return UserRules(context_).DeleteUser(root_, request).status(); })),
            "NOT_FOUND");
  EXPECT_EQ(Stored(), 0);
}

TEST_F(SessionRaceTest, TheServiceIsDeleted) {
  v1::DeleteServiceRequest request;
  request.set_name("orgs/acme/services/platform");
  EXPECT_EQ(ReasonOf(CreateWhile([&] { return PrincipalRules(context_).DeleteService(root_, request).status(); })),
            "NOT_FOUND");
  EXPECT_EQ(Stored(), 0);
}

TEST_F(SessionRaceTest, TheTeamIsDeleted) {
  v1::DeleteTeamRequest request;
  request.set_name(kTeam);
  EXPECT_EQ(ReasonOf(CreateWhile([&] { return TeamRules(context_).DeleteTeam(root_, request).status(); }, kTeam)),
            "NOT_FOUND");
  EXPECT_EQ(Stored(), 0);
}

// Whatever else changes the records that it depends on makes it anew.
TEST_F(SessionRaceTest, TheMembersRoleChanges) {
  v1::SetTeamMemberRequest request;
  request.mutable_member()->set_name(kMember);
  request.mutable_member()->set_role(v1::TEAM_ROLE_OWNER);
  EXPECT_TRUE(CreateWhile([&] { return TeamRules(context_).SetTeamMember(root_, request).status(); }, kTeam).ok());
  EXPECT_EQ(Stored(), 1);
}

}  // namespace
}  // namespace keyferry::server
