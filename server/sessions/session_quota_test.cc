#include "server/sessions/session_quota.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/sessions/testing_sessions.h"

namespace keyferry::server {
namespace {

// At most 3 sessions of the org and 2 of a user.
class SessionQuotaTest : public testing::Test {
 protected:
  // "" or what is full.
  std::string Create(const std::string& user, int64_t ttl_seconds = 3600) {
    v1::CreateSessionRequest request = TestSessions::Request(user);
    request.mutable_ttl()->set_seconds(ttl_seconds);
    const auto created = world_.Create(world_.Platform(), request);
    if (created.ok()) {
      last_ = created->session();
      return "";
    }
    EXPECT_EQ(created.status().code(), absl::StatusCode::kResourceExhausted) << created.status();
    EXPECT_EQ(ReasonOf(created.status()), "TOO_MANY");
    return std::string(created.status().message().substr(0, created.status().message().find(':')));
  }
  void Revoke(const v1::Session& session) {
    v1::RevokeSessionRequest request;
    request.set_name(session.name());
    ASSERT_TRUE(world_.sessions.RevokeSession(world_.directory.Root(), request).ok());
  }

  TestSessions world_{SessionLimits{3, 2}};
  v1::Session last_;
};

TEST_F(SessionQuotaTest, BoundsUsersAndTheOrg) {
  EXPECT_EQ(Create("ada"), "");
  EXPECT_EQ(Create("ada"), "");
  EXPECT_EQ(Create("ada"), "orgs/acme/users/ada");
  EXPECT_EQ(Create("bob"), "");
  EXPECT_EQ(Create("bob"), "orgs/acme");
  EXPECT_EQ(Create("root"), "orgs/acme");
}

TEST_F(SessionQuotaTest, RevocationMakesRoom) {
  EXPECT_EQ(Create("ada"), "");
  EXPECT_EQ(Create("ada"), "");
  Revoke(last_);
  EXPECT_EQ(Create("ada"), "");
  EXPECT_EQ(Create("ada"), "orgs/acme/users/ada");
}

TEST_F(SessionQuotaTest, TheEndOfASessionMakesRoom) {
  EXPECT_EQ(Create("ada", 60), "");
  EXPECT_EQ(Create("ada", 120), "");
  EXPECT_EQ(Create("ada"), "orgs/acme/users/ada");
  world_.directory.now += absl::Seconds(60);
  EXPECT_EQ(Create("ada"), "");
  EXPECT_EQ(Create("ada"), "orgs/acme/users/ada");
}

TEST_F(SessionQuotaTest, WhatOthersDeletedMakesRoom) {
  EXPECT_EQ(Create("ada"), "");
  EXPECT_EQ(Create("ada"), "");
  EXPECT_EQ(Create("bob"), "");
  EXPECT_EQ(Create("root"), "orgs/acme");
  v1::DeleteUserRequest request;
  request.set_name("orgs/acme/users/ada");
  ASSERT_TRUE(world_.directory.users.DeleteUser(world_.directory.Root(), request).ok());
  EXPECT_EQ(Create("root"), "");
  EXPECT_EQ(Create("root"), "");
  EXPECT_EQ(Create("bob"), "orgs/acme");
}

TEST_F(SessionQuotaTest, ARefusedCreateTakesNoPlace) {
  for (int i = 0; i < 5; ++i) {
    v1::CreateSessionRequest request = TestSessions::Request();
    request.mutable_session()->set_mcp_servers(0, "orgs/acme/mcpServers/void");
    EXPECT_EQ(ReasonOf(world_.Create(world_.Platform(), request).status()), "NOT_FOUND");
  }
  EXPECT_EQ(Create("ada"), "");
  EXPECT_EQ(Create("ada"), "");
  EXPECT_EQ(Create("bob"), "");
}

TEST_F(SessionQuotaTest, CountsWhatAnEarlierProcessStored) {
  EXPECT_EQ(Create("ada"), "");
  EXPECT_EQ(Create("ada"), "");
  SessionRules restarted(world_.directory.store.get(), world_.directory.context.clock, &world_.directory.pages,
                         SessionLimits{3, 2});
  EXPECT_EQ(ReasonOf(restarted.CreateSession(world_.Platform(), TestSessions::Request()).status()), "TOO_MANY");
  EXPECT_TRUE(restarted.CreateSession(world_.Platform(), TestSessions::Request("bob")).ok());
}

// A session that is taken and not stored yet is in no scan, and counts all the same.
TEST_F(SessionQuotaTest, WhatIsBeingStoredCounts) {
  SessionQuota quota(world_.directory.store.get(), SessionLimits{10, 1});
  ASSERT_TRUE(quota.Take("acme", "a", "u", /*expire_time=*/100, /*now=*/1).ok());
  ASSERT_EQ(Create("bob"), "");  // So that it reads them all again before it refuses.
  EXPECT_EQ(ReasonOf(quota.Take("acme", "b", "u", 100, 1)), "TOO_MANY");
  quota.Keep("acme", "a");
  ASSERT_EQ(Create("bob"), "");
  EXPECT_TRUE(quota.Take("acme", "b", "u", 100, 1).ok()) << "it was said to be stored, and is not";
  quota.GiveBack("acme", "b");
  EXPECT_TRUE(quota.Take("acme", "c", "u", 100, 1).ok());
}

}  // namespace
}  // namespace keyferry::server
