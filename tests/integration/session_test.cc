// Sessions over the API: a platform's service makes one, a workload presents it, and it ends when it must.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "keyferry/v1/resolution.pb.h"
#include "keyferry/v1/sessions.pb.h"
#include "tests/integration/world.h"

namespace keyferry::testing {
namespace {

class SessionTest : public ::testing::Test {
 protected:
  v1::CreateSessionResponse Create(const std::string& user, const std::string& edit = "") {
    v1::CreateSessionResponse created;
    created.ParseFromString(
        world_.MustCall(Who::kService, "SessionService.CreateSession",
                        absl::StrCat("parent: 'orgs/acme' session { user: 'orgs/acme/users/", user,
                                     "' mcp_servers: 'orgs/acme/mcpServers/github' } ttl { seconds: 600 } ", edit)));
    return created;
  }
  grpc::Status Resolve(const std::string& token, v1::ResolveResponse* response = nullptr, Who who = Who::kWorkload) {
    std::string bytes;
    const grpc::Status status =
        world_.Call(who, "ResolutionService.Resolve",
                    absl::StrCat("mcp_server: 'orgs/acme/mcpServers/github' session_token: '", token, "'"), &bytes);
    if (response != nullptr) response->ParseFromString(bytes);
    EXPECT_EQ(status.ok() ? "" : world_.WhatIsWrong(status), "");
    return status;
  }
  std::string Reason(const std::string& token, Who who = Who::kWorkload) {
    const grpc::Status status = Resolve(token, nullptr, who);
    return status.ok() ? "" : DetailOf(status).reason();
  }
  std::string ValueOf(const std::string& token) {
    v1::ResolveResponse response;
    EXPECT_TRUE(Resolve(token, &response).ok());
    for (const auto& variable : response.variables()) {
      if (variable.variable() == "GITHUB_TOKEN") return variable.value();
    }
    return "";
  }

  World world_;
};

TEST_F(SessionTest, TheUsersOwnValueAnswersWithinTheirSessionAlone) {
  const std::string shared = ValueOf("");
  world_.MustCall(Who::kMember, "CredentialService.CreateCredential",
                  "parent: 'orgs/acme/users/mia' credential_id: 'GITHUB_TOKEN' value: 'marker-5e11ed-mias-own'");
  EXPECT_EQ(ValueOf(world_.session_token()), "Bearer marker-5e11ed-mias-own");
  EXPECT_EQ(ValueOf(""), shared);
  EXPECT_EQ(ValueOf(Create("ben").token()), shared);
  world_.MustCall(Who::kMember, "CredentialService.DeleteCredential",
                  "name: 'orgs/acme/users/mia/credentials/GITHUB_TOKEN'");
  EXPECT_EQ(ValueOf(world_.session_token()), shared);
}

TEST_F(SessionTest, TheSessionsTeamAnswersItsMembers) {
  world_.MustCall(Who::kOwner, "CredentialService.CreateCredential",
                  "parent: 'orgs/acme/teams/eng' credential_id: 'GITHUB_TOKEN' value: 'marker-5e11ed-engs'");
  const std::string token = Create("eli", "session { team: 'orgs/acme/teams/eng' }").token();
  EXPECT_EQ(ValueOf(token), "Bearer marker-5e11ed-engs");
  EXPECT_NE(ValueOf(Create("eli").token()), "Bearer marker-5e11ed-engs");
  world_.MustCall(Who::kAdmin, "DirectoryService.RemoveTeamMember", "name: 'orgs/acme/teams/eng/members/eli'");
  EXPECT_EQ(Reason(token), "NOT_A_TEAM_MEMBER");
}

TEST_F(SessionTest, EndsWhenRevokedExpiredOrItsUserIsGone) {
  const v1::CreateSessionResponse revoked = Create("mia");
  const v1::CreateSessionResponse orphaned = Create("spare");
  const v1::CreateSessionResponse expiring = Create("mia");
  for (const auto* session : {&revoked, &orphaned, &expiring}) EXPECT_EQ(Reason(session->token()), "");
  world_.MustCall(Who::kMember, "SessionService.RevokeSession", absl::StrCat("name: '", revoked.session().name(), "'"));
  EXPECT_EQ(Reason(revoked.token()), "SESSION_UNKNOWN");
  world_.MustCall(Who::kAdmin, "DirectoryService.DeleteUser", "name: 'orgs/acme/users/spare'");
  EXPECT_EQ(Reason(orphaned.token()), "SESSION_UNKNOWN");
  EXPECT_EQ(Reason(expiring.token()), "");
  world_.Advance(absl::Seconds(600));
  EXPECT_EQ(Reason(expiring.token()), "SESSION_EXPIRED");
}

TEST_F(SessionTest, WhoMayPresentIt) {
  const std::string token = world_.session_token();
  for (const Who who : {Who::kAdmin, Who::kMember, Who::kService}) {
    EXPECT_EQ(Resolve(token, nullptr, who).error_code(), grpc::PERMISSION_DENIED) << NameOf(who);
  }
  EXPECT_EQ(Resolve(token, nullptr, Who::kRival).error_code(), grpc::NOT_FOUND);
  EXPECT_EQ(Resolve(token, nullptr, Who::kNobody).error_code(), grpc::UNAUTHENTICATED);
  world_.MustCall(Who::kAdmin, "DirectoryService.UpdateWorkload",
                  "workload { name: 'orgs/acme/workloads/runner' } update_mask { paths: 'can_use_sessions' }");
  EXPECT_EQ(Reason(token), "SESSION_NOT_ALLOWED");
}

// A changed character, an API token, and text that is no token at all.
TEST_F(SessionTest, OtherTextsAreRefused) {
  const std::string token = world_.session_token();
  for (size_t i = 0; i < token.size(); i += 3) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    const grpc::Status status = Resolve(changed);
    EXPECT_EQ(status.error_code(), grpc::UNAUTHENTICATED) << i;
    EXPECT_TRUE(absl::StartsWith(DetailOf(status).reason(), "SESSION_")) << i;
  }
  EXPECT_EQ(Reason(world_.Bearer(Who::kMember).substr(7)), "SESSION_MALFORMED");
  EXPECT_EQ(Reason("x"), "SESSION_MALFORMED");
  EXPECT_EQ(Reason(std::string(100000, 'x')), "SESSION_MALFORMED");
}

TEST_F(SessionTest, TheTokenIsShownAtItsCreationAlone) {
  for (const auto& [call, answer] : world_.TakeDigest()) {
    EXPECT_FALSE(absl::StrContains(answer, world_.session_token().substr(10, 40))) << call;
  }
}

}  // namespace
}  // namespace keyferry::testing
