// A session in use: what a workload that presents one is given, and everything that ends it.
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/directory/bootstrap.h"
#include "server/errors.h"
#include "server/sessions/session_text.h"
#include "server/sessions/session_verifier.h"
#include "server/sessions/testing_sessions.h"

namespace keyferry::server {
namespace {

constexpr char kSpare[] = "orgs/acme/workloads/spare";
constexpr char kPlain[] = "orgs/acme/workloads/plain";
constexpr char kOther[] = "orgs/acme/mcpServers/other";

v1::CreateSessionRequest WithTeam(const std::string& team) {
  v1::CreateSessionRequest request = TestSessions::Request();
  request.mutable_session()->set_team("orgs/acme/teams/" + team);
  return request;
}

v1::CreateSessionRequest ForBuilder() {
  v1::CreateSessionRequest request = TestSessions::Request();
  request.mutable_session()->set_mcp_servers(0, TestSessions::kBuilder);
  return request;
}

// All that a caller is told.
std::string Told(const absl::Status& status) {
  v1::ErrorDetail detail;
  GetDetail(status, &detail);
  return absl::StrCat(status.ToString(absl::StatusToStringMode::kWithNoExtraData), "\n", detail.ShortDebugString());
}

void Delete(TestSessions& world, const std::string& kind, const std::string& id) {
  const Caller root = world.directory.Root();
  const std::string name = absl::StrCat("orgs/acme/", kind, "/", id);
  absl::Status done;
  if (kind == "users") {
    v1::DeleteUserRequest request;
    request.set_name(name);
    done = world.directory.users.DeleteUser(root, request).status();
  } else if (kind == "teams") {
    v1::DeleteTeamRequest request;
    request.set_name(name);
    done = world.directory.teams.DeleteTeam(root, request).status();
  } else if (kind == "services") {
    v1::DeleteServiceRequest request;
    request.set_name(name);
    done = world.directory.principals.DeleteService(root, request).status();
  } else {
    v1::DeleteWorkloadRequest request;
    request.set_name(name);
    done = world.directory.principals.DeleteWorkload(root, request).status();
  }
  ASSERT_TRUE(done.ok()) << done;
}

void RemoveMember(TestSessions& world, const std::string& team, const std::string& user) {
  v1::RemoveTeamMemberRequest request;
  request.set_name(absl::StrCat("orgs/acme/teams/", team, "/members/", user));
  ASSERT_TRUE(world.directory.teams.RemoveTeamMember(world.directory.Root(), request).ok());
}

TEST(SessionUseTest, PersonalAnswersFirstThenTheSessionsTeamThenTheOrg) {
  TestSessions world;
  const std::string without_team = world.Made().token();
  const std::string with_team = world.Made(WithTeam("eng")).token();
  EXPECT_EQ(world.Resolve(""), "org") << "without a session";
  EXPECT_EQ(world.Resolve(with_team), "personal");
  EXPECT_EQ(world.Resolve(without_team), "personal");
  world.DeleteToken("users/ada");
  EXPECT_EQ(world.Resolve(with_team), "team");
  EXPECT_EQ(world.Resolve(without_team), "org");
  world.DeleteToken("teams/eng");
  EXPECT_EQ(world.Resolve(with_team), "org");
  world.PutToken("users/bob", "bob's");
  EXPECT_EQ(world.Resolve(with_team), "org") << "nobody else's";
}

TEST(SessionUseTest, AnMcpServerOfATeamUsesThatTeam) {
  TestSessions world;
  v1::CreateSessionRequest request = ForBuilder();
  request.mutable_session()->set_team("orgs/acme/teams/ops");
  const std::string token = world.Made(request).token();
  EXPECT_EQ(world.Resolve("", TestSessions::kBuilder), "team");
  EXPECT_EQ(world.Resolve(token, TestSessions::kBuilder), "personal");
  world.DeleteToken("users/ada");
  EXPECT_EQ(world.Resolve(token, TestSessions::kBuilder), "team");
}

TEST(SessionUseTest, TheTeamIsTheSessionsToName) {
  TestSessions world;
  world.DeleteToken("users/ada");
  const std::string runner = "orgs/acme/workloads/runner";
  const std::string token = world.Made(WithTeam("eng")).token();
  EXPECT_EQ(world.Resolve(token, TestSessions::kGithub, runner, "orgs/acme/teams/eng"), "team");
  EXPECT_EQ(world.Resolve(token, TestSessions::kGithub, runner, "orgs/acme/teams/ops"), "TEAM_NOT_GRANTED");
  EXPECT_EQ(world.Resolve(world.Made().token(), TestSessions::kGithub, runner, "orgs/acme/teams/eng"),
            "TEAM_NOT_GRANTED");
  EXPECT_EQ(world.Resolve(token, TestSessions::kGithub, runner, "orgs/rival/teams/eng"), "INVALID_FIELD");
}

TEST(SessionUseTest, IsForItsWorkloadsAndMcpServersAlone) {
  TestSessions world;
  v1::CreateSessionRequest bound = TestSessions::Request();
  bound.mutable_session()->set_workload(kSpare);
  const std::string for_spare = world.Made(bound).token();
  const std::string for_any = world.Made().token();
  EXPECT_EQ(world.Resolve(for_spare, TestSessions::kGithub, kSpare), "personal");
  EXPECT_EQ(world.Resolve(for_any, TestSessions::kGithub, kSpare), "personal");
  EXPECT_EQ(world.Resolve(for_spare), "SESSION_NOT_ALLOWED");
  EXPECT_EQ(world.Resolve(for_any, TestSessions::kGithub, kPlain), "SESSION_NOT_ALLOWED");
  EXPECT_EQ(world.Resolve("", TestSessions::kGithub, kPlain), "org");
  EXPECT_EQ(world.Resolve(for_any, kOther), "SESSION_NOT_ALLOWED");
  EXPECT_EQ(world.Resolve(for_any, TestSessions::kBuilder), "SESSION_NOT_ALLOWED");
  for (const std::string& server : {std::string(kOther), std::string(TestSessions::kGithub)}) {
    const std::string workload = server == kOther ? "orgs/acme/workloads/runner" : kPlain;
    EXPECT_EQ(world.Refusal(for_any, server, workload).code(), absl::StatusCode::kPermissionDenied);
  }
}

TEST(SessionUseTest, UsersAndServicesPresentNone) {
  TestSessions world;
  const std::string token = world.Made().token();
  EXPECT_EQ(world.Resolve(token, TestSessions::kGithub, "orgs/acme/users/bob"), "SESSION_NOT_ALLOWED");
  EXPECT_EQ(world.Resolve(token, TestSessions::kGithub, "orgs/acme/users/ada"), "SESSION_NOT_ALLOWED");
  const absl::Status service = world.Refusal(token, TestSessions::kGithub, "orgs/acme/services/platform");
  EXPECT_EQ(service.code(), absl::StatusCode::kPermissionDenied);
  v1::ErrorDetail detail;
  ASSERT_TRUE(GetDetail(service, &detail));
  EXPECT_NE(detail.next_step().find("as a workload"), std::string::npos);
}

TEST(SessionUseTest, AMalformedTokenIsRefusedWithoutEcho) {
  TestSessions world;
  const std::string token = world.Made().token();
  for (const std::string& text :
       {std::string("x"), std::string("kfs_"), std::string("kfs_."), token + "=", token.substr(1),
        world.directory.Login("orgs/acme/users/ada").substr(7), std::string(100000, 'A')}) {
    const absl::Status status = world.Refusal(text);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
    EXPECT_EQ(ReasonOf(status), "SESSION_MALFORMED");
    EXPECT_TRUE(text.size() < 20 || Told(status).find(text.substr(5, 15)) == std::string::npos);
  }
}

TEST(SessionUseTest, ForgedRevokedForeignAndOrphanedTokensCannotBeToldApart) {
  TestSessions world;
  const v1::CreateSessionResponse revoked = world.Made();
  ASSERT_EQ(world.Resolve(revoked.token()), "personal");
  v1::RevokeSessionRequest revoke;
  revoke.set_name(revoked.session().name());
  ASSERT_TRUE(world.sessions.RevokeSession(world.Platform(), revoke).ok());
  const absl::Status expected = world.Refusal(revoked.token());
  EXPECT_EQ(expected.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(ReasonOf(expected), "SESSION_UNKNOWN");

  // The payload of a good session under a key of the attacker's.
  const v1::CreateSessionResponse good = world.Made();
  v1::SessionTokenPayload payload = ParseSessionText(good.token())->payload;
  const auto forger = storage::Ed25519Signer::Create(storage::SecretBytes::CopyOf(std::string(32, 'f')));
  const auto forge = [&] { return std::string(MakeSessionText(payload, **forger).Expose()); };
  EXPECT_EQ(Told(world.Refusal(forge())), Told(expected)) << "another key";
  payload.set_key_id(7);
  EXPECT_EQ(Told(world.Refusal(forge())), Told(expected)) << "a key that does not exist";
  payload.set_org("rival");
  EXPECT_EQ(Told(world.Refusal(forge())), Told(expected)) << "another organization's";
  payload = ParseSessionText(good.token())->payload;
  payload.set_expire_time_seconds(1);
  EXPECT_EQ(Told(world.Refusal(forge())), Told(expected)) << "forged and over";
  // The signature of one session on another's payload.
  const std::string other = world.Made().token();
  EXPECT_EQ(Told(world.Refusal(good.token().substr(0, good.token().find('.')) + other.substr(other.find('.')))),
            Told(expected));
  Delete(world, "users", "ada");
  EXPECT_EQ(Told(world.Refusal(good.token())), Told(expected)) << "its user was deleted";
}

TEST(SessionUseTest, AnotherOrganizationsSessionIsUnknown) {
  TestSessions world;
  const DirectoryContext& context = world.directory.context;
  ASSERT_TRUE(EnsureOrgWithAdmin(context, "rival", v1::TIER_BUSINESS, "eve").ok());
  Caller eve;
  eve.org = "rival";
  eve.id = "eve";
  eve.role = v1::ORG_ROLE_ADMIN;
  eve.tier = v1::TIER_BUSINESS;
  v1::ApplyMcpServerRequest apply;
  apply.mutable_mcp_server()->set_name("orgs/rival/mcpServers/github");
  apply.mutable_mcp_server()->set_transport(v1::MCP_TRANSPORT_HTTP);
  ASSERT_TRUE(world.servers.ApplyMcpServer(eve, apply).ok());
  v1::CreateSessionRequest request;
  request.set_parent("orgs/rival");
  request.mutable_session()->set_user("orgs/rival/users/eve");
  request.mutable_session()->add_mcp_servers("orgs/rival/mcpServers/github");
  const auto created = world.Create(eve, request);
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(world.Resolve(created->token()), "SESSION_UNKNOWN");
}

TEST(SessionUseTest, EndsToTheSecond) {
  TestSessions world;
  v1::CreateSessionRequest request = TestSessions::Request();
  request.mutable_ttl()->set_seconds(60);
  const std::string token = world.Made(request).token();
  world.directory.now += absl::Seconds(60) - absl::Nanoseconds(1);
  EXPECT_EQ(world.Resolve(token), "personal");
  world.directory.now += absl::Nanoseconds(1);
  const absl::Status status = world.Refusal(token);
  EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_EQ(ReasonOf(status), "SESSION_EXPIRED");
}

TEST(SessionUseTest, RevocationCountsAtOnceForTokensInUse) {
  TestSessions world;
  const v1::CreateSessionResponse made = world.Made();
  const v1::CreateSessionResponse kept = world.Made();
  for (int i = 0; i < 3; ++i) ASSERT_EQ(world.Resolve(made.token()), "personal");
  v1::RevokeSessionRequest revoke;
  revoke.set_name(made.session().name());
  ASSERT_TRUE(world.sessions.RevokeSession(world.directory.As("orgs/acme/users/ada"), revoke).ok());
  EXPECT_EQ(world.Resolve(made.token()), "SESSION_UNKNOWN");
  EXPECT_EQ(world.Resolve(kept.token()), "personal");
}

// What watches look at: a change of any of these may end the session, and nothing else does but its end.
TEST(SessionUseTest, SaysWhatItDependsOn) {
  TestSessions world;
  v1::CreateSessionRequest request = ForBuilder();
  request.mutable_session()->set_team("orgs/acme/teams/ops");
  const v1::CreateSessionResponse made = world.Made(request);
  SessionVerifier verifier(world.directory.store.get(), world.directory.context.clock);
  const uint64_t stamp = verifier.Stamp();
  const auto active =
      verifier.Verify(*world.directory.store->View(), stamp, world.directory.As("orgs/acme/workloads/runner"),
                      made.token(), {{ParentName::kTeam, "acme", "eng"}, "builder"});
  ASSERT_TRUE(active.ok()) << active.status();
  EXPECT_EQ(active->name, made.session().name());
  EXPECT_EQ(active->user, "ada");
  EXPECT_EQ(active->team, "ops");
  EXPECT_EQ(active->expire_time, absl::FromUnixSeconds(made.session().expire_time().seconds()));
  std::string records;
  for (const storage::RecordKey& key : active->records) {
    absl::StrAppend(&records, static_cast<int>(key.table), " ", key.parent, " ", key.id, "\n");
  }
  const std::string id = made.session().name().substr(made.session().name().rfind('/') + 1);
  EXPECT_EQ(records, absl::StrCat("24  ", id, "\n16  ada\n19 users/ada ops\n19 users/ada eng\n"));
}

// A user of the same id is somebody else, even if a session of the first was left behind.
TEST(SessionUseTest, ARemovedUsersSessionDoesNotComeBackWithTheirId) {
  TestSessions world;
  const v1::CreateSessionResponse made = world.Made();
  const std::string id = made.session().name().substr(made.session().name().rfind('/') + 1);
  const storage::RecordKey key = {storage::Table::kSession, "acme", "", id};
  auto left_behind = world.directory.store->View()->Get(key);
  Delete(world, "users", "ada");
  EXPECT_EQ(world.Resolve(made.token()), "SESSION_UNKNOWN");
  EXPECT_FALSE(world.IsStored(made.session()));
  world.directory.now += absl::Seconds(1);
  world.directory.AddUser("ada");
  world.PutToken("users/ada", "another person's");
  storage::Mutation mutation;
  mutation.Put(key, std::move((*left_behind)->payload), 1, std::nullopt);
  ASSERT_TRUE(world.directory.store->Commit(mutation, storage::Durability::kSynced).ok());
  ASSERT_TRUE(world.IsStored(made.session()));
  EXPECT_EQ(world.Resolve(made.token()), "SESSION_UNKNOWN");
}

TEST(SessionUseTest, ARemovedMembersSessionStopsAtOnce) {
  TestSessions world;
  const std::string of_team = world.Made(WithTeam("ops")).token();
  const std::string builder = world.Made(ForBuilder()).token();
  const std::string neither = world.Made().token();
  ASSERT_EQ(world.Resolve(of_team), "personal");
  ASSERT_EQ(world.Resolve(builder, TestSessions::kBuilder), "personal");
  RemoveMember(world, "ops", "ada");
  const absl::Status status = world.Refusal(of_team);
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(ReasonOf(status), "NOT_A_TEAM_MEMBER");
  EXPECT_EQ(world.Resolve(builder, TestSessions::kBuilder), "personal");
  RemoveMember(world, "eng", "ada");
  EXPECT_EQ(world.Resolve(builder, TestSessions::kBuilder), "NOT_A_TEAM_MEMBER");
  EXPECT_EQ(world.Resolve(neither), "personal");
}

TEST(SessionUseTest, EndsWithItsUserTeamWorkloadOrService) {
  const struct {
    const char* kind;
    const char* id;
    const char* others_user;
  } cases[] = {
      {"users", "ada", "bob"}, {"teams", "ops", "ada"}, {"workloads", "spare", "ada"}, {"services", "platform", ""}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.kind);
    TestSessions world;
    v1::CreateSessionRequest request = WithTeam("ops");
    request.mutable_session()->set_workload(kSpare);
    const v1::CreateSessionResponse made = world.Made(request);
    const bool all = std::string(c.others_user).empty();
    const v1::CreateSessionResponse kept = world.Made(TestSessions::Request(all ? "ada" : c.others_user));
    Delete(world, c.kind, c.id);
    EXPECT_FALSE(world.IsStored(made.session()));
    EXPECT_EQ(world.IsStored(kept.session()), !all);
    if (std::string(c.kind) != "workloads") {
      EXPECT_EQ(world.Resolve(made.token(), TestSessions::kGithub, kSpare), "SESSION_UNKNOWN");
    }
  }
}

// However creation and deletion race, nothing is left behind.
TEST(SessionUseTest, NoneIsMadeForAUserOrByAServiceThatIsBeingDeleted) {
  for (const auto& [kind, id] : {std::pair("users", "ada"), std::pair("services", "platform")}) {
    for (int round = 0; round < 5; ++round) {
      TestSessions world;
      const Caller platform = world.Platform();
      std::vector<std::thread> makers;
      for (int i = 0; i < 3; ++i) {
        makers.emplace_back([&] {
          while (world.Create(platform, TestSessions::Request()).ok()) {
          }
        });
      }
      Delete(world, kind, id);
      for (std::thread& maker : makers) maker.join();
      EXPECT_EQ(world.Listed(), "") << kind;
    }
  }
}

TEST(SessionUseTest, TheRightToUseSessionsCanBeTakenAway) {
  TestSessions world;
  const std::string token = world.Made().token();
  ASSERT_EQ(world.Resolve(token), "personal");
  v1::UpdateWorkloadRequest update;
  update.mutable_workload()->set_name("orgs/acme/workloads/runner");
  update.mutable_update_mask()->add_paths("can_use_sessions");
  ASSERT_TRUE(world.directory.principals.UpdateWorkload(world.directory.Root(), update).ok());
  EXPECT_EQ(world.Resolve(token), "SESSION_NOT_ALLOWED");
  update.mutable_workload()->set_can_use_sessions(true);
  ASSERT_TRUE(world.directory.principals.UpdateWorkload(world.directory.Root(), update).ok());
  ASSERT_EQ(world.Resolve(token), "personal");
  update.mutable_update_mask()->add_paths("mcp_servers");
  ASSERT_TRUE(world.directory.principals.UpdateWorkload(world.directory.Root(), update).ok());
  EXPECT_EQ(world.Resolve(token), "NOT_FOUND") << "the MCP server is no longer granted";
}

TEST(SessionUseTest, ASuspendedTeamDoesNotAnswer) {
  TestSessions world;
  world.DeleteToken("users/ada");
  const std::string of_team = world.Made(WithTeam("eng")).token();
  const std::string builder = world.Made(ForBuilder()).token();
  world.directory.SetTier(v1::TIER_FREE);
  EXPECT_EQ(world.Resolve(of_team), "org");
  EXPECT_EQ(world.Resolve(builder, TestSessions::kBuilder), "SCOPE_SUSPENDED");
  world.directory.SetTier(v1::TIER_BUSINESS);
  EXPECT_EQ(world.Resolve(of_team), "team");
}

TEST(SessionUseTest, ANewDataKeyLeavesSessionsAsTheyAre) {
  TestSessions world;
  const std::string token = world.Made().token();
  ASSERT_TRUE(world.directory.store->RotateDataKey("acme").ok());
  ASSERT_TRUE(world.directory.store->WaitForPurge(absl::Seconds(60)).ok());
  EXPECT_EQ(world.Resolve(token), "personal");
  EXPECT_EQ(world.Resolve(world.Made().token()), "personal");
}

}  // namespace
}  // namespace keyferry::server
