#include "server/sessions/session_rules.h"

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/errors.h"
#include "server/sessions/session_sweeper.h"
#include "server/sessions/session_text.h"
#include "server/sessions/testing_sessions.h"

namespace keyferry::server {
namespace {

absl::Time EndOf(const v1::Session& session) { return absl::FromUnixSeconds(session.expire_time().seconds()); }

v1::CreateSessionRequest WithTtl(int64_t seconds, int32_t nanos = 0) {
  v1::CreateSessionRequest request = TestSessions::Request();
  request.mutable_ttl()->set_seconds(seconds);
  request.mutable_ttl()->set_nanos(nanos);
  return request;
}

v1::ListSessionKeysResponse KeysOf(TestSessions& world) {
  v1::ListSessionKeysRequest request;
  request.set_parent("orgs/acme");
  const auto keys = world.sessions.ListSessionKeys(world.directory.As("orgs/acme/users/bob"), request);
  EXPECT_TRUE(keys.ok()) << keys.status();
  return keys.ok() ? *keys : v1::ListSessionKeysResponse();
}

TEST(SessionRulesTest, ASessionIsWhatWasAskedFor) {
  TestSessions world;
  v1::CreateSessionRequest request = TestSessions::Request();
  v1::Session* asked = request.mutable_session();
  asked->set_team("orgs/acme/teams/eng");
  asked->add_mcp_servers(TestSessions::kBuilder);
  asked->set_workload("orgs/acme/workloads/none-yet");
  asked->set_name("ignored");
  asked->set_creator("ignored");
  const v1::Session made = world.Made(request).session();
  EXPECT_TRUE(IsSessionId(made.name().substr(std::string("orgs/acme/sessions/").size()))) << made.name();
  EXPECT_EQ(made.user(), "orgs/acme/users/ada");
  EXPECT_EQ(made.team(), "orgs/acme/teams/eng");
  EXPECT_EQ(made.mcp_servers_size(), 2);
  EXPECT_EQ(made.workload(), "orgs/acme/workloads/none-yet");
  EXPECT_EQ(made.creator(), "orgs/acme/services/platform");
  EXPECT_EQ(EndOf(made), world.directory.now + absl::Hours(1));
  v1::GetSessionRequest get;
  get.set_name(made.name());
  const auto got = world.sessions.GetSession(world.Platform(), get);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->SerializeAsString(), made.SerializeAsString());
}

TEST(SessionRulesTest, TokensVerifyWithTheListedKey) {
  TestSessions world;
  EXPECT_EQ(KeysOf(world).keys_size(), 0) << "made with the first session";
  const v1::CreateSessionResponse made = world.Made();
  const std::string other = world.Made().token();
  const v1::ListSessionKeysResponse keys = KeysOf(world);
  ASSERT_EQ(keys.keys_size(), 1);
  const auto token = ParseSessionText(made.token());
  ASSERT_TRUE(token.has_value());
  EXPECT_TRUE(token->IsSignedBy(keys.keys(0).public_key()));
  EXPECT_TRUE(ParseSessionText(other)->IsSignedBy(keys.keys(0).public_key()));
  EXPECT_EQ(token->payload.key_id(), keys.keys(0).key_id());
  EXPECT_EQ(token->payload.org(), "acme");
  EXPECT_EQ(absl::StrCat("orgs/acme/sessions/", token->payload.session()), made.session().name());
  EXPECT_EQ(token->payload.expire_time_seconds(), made.session().expire_time().seconds());
}

TEST(SessionRulesTest, TheFirstSessionsAtOnceShareOneKey) {
  TestSessions world;
  const Caller platform = world.Platform();
  std::vector<std::thread> threads;
  std::vector<std::string> tokens(6);
  for (size_t i = 0; i < tokens.size(); ++i) {
    threads.emplace_back([&, i] {
      const auto created = world.Create(platform, TestSessions::Request());
      tokens[i] = created.ok() ? created->token() : created.status().ToString();
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(KeysOf(world).keys_size(), 1);
  for (const std::string& token : tokens) EXPECT_EQ(world.Resolve(token), "personal") << token.substr(0, 4);
}

TEST(SessionRulesTest, EndsWithinADayAndNoLaterThanTheUsersToken) {
  TestSessions world;
  const absl::Time now = world.directory.now;
  EXPECT_EQ(EndOf(world.Made(WithTtl(60)).session()), now + absl::Minutes(1));
  EXPECT_EQ(EndOf(world.Made(WithTtl(24 * 3600)).session()), now + absl::Hours(24));
  Caller ada = world.directory.As("orgs/acme/users/ada");
  ada.token_expire_time = now + absl::Minutes(5);
  const auto own = world.Create(ada, WithTtl(3600));
  ASSERT_TRUE(own.ok()) << own.status();
  EXPECT_EQ(EndOf(own->session()), now + absl::Minutes(5));
}

TEST(SessionRulesTest, WhoMayCreate) {
  TestSessions world;
  const struct {
    const char* caller;
    const char* user;
    const char* reason;
  } cases[] = {
      {"services/platform", "ada", ""},
      {"services/platform", "bob", ""},
      {"services/platform", "nobody", "NOT_FOUND"},
      {"users/ada", "ada", ""},
      {"users/root", "root", ""},
      {"users/ada", "bob", "PERMISSION_DENIED"},
      {"users/ada", "nobody", "PERMISSION_DENIED"},
      {"users/root", "ada", "PERMISSION_DENIED"},
      {"users/root", "nobody", "PERMISSION_DENIED"},
      {"services/console", "ada", "PERMISSION_DENIED"},
      {"workloads/runner", "ada", "NOT_FOUND"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(absl::StrCat(c.caller, " for ", c.user));
    const auto created =
        world.Create(world.directory.As(absl::StrCat("orgs/acme/", c.caller)), TestSessions::Request(c.user));
    EXPECT_EQ(ReasonOf(created.status()), c.reason) << created.status();
  }
}

// Those who may not see workloads are told the same of one that is there and one that is not.
TEST(SessionRulesTest, AnAbsentWorkloadIsSaidToThoseWhoMaySeeWorkloadsAlone) {
  TestSessions world;
  const auto create = [&](const std::string& caller, const std::string& user, const std::string& workload) {
    v1::CreateSessionRequest request = TestSessions::Request(user);
    request.mutable_session()->set_workload("orgs/acme/workloads/" + workload);
    return world.Create(world.directory.As("orgs/acme/" + caller), request).status();
  };
  const absl::Status absent = create("users/root", "root", "rnuner");
  EXPECT_TRUE(absl::IsNotFound(absent)) << absent;
  v1::ErrorDetail detail;
  ASSERT_TRUE(GetDetail(absent, &detail));
  EXPECT_EQ(detail.resource(), "orgs/acme/workloads/rnuner");
  EXPECT_EQ(detail.next_step(), "Check the name with `keyferry workload list`, or name no workload.");
  EXPECT_EQ(create("users/root", "root", "runner"), absl::OkStatus());
  for (const char* caller : {"services/platform", "users/ada"}) {
    EXPECT_EQ(create(caller, "ada", "rnuner"), absl::OkStatus()) << caller;
    EXPECT_EQ(create(caller, "ada", "runner"), absl::OkStatus()) << caller;
  }
}

TEST(SessionRulesTest, TheRightToCreateCanBeTakenAwayAndGivenBack) {
  TestSessions world;
  const Caller root = world.directory.Root();
  v1::UpdateServiceRequest update;
  update.mutable_service()->set_name("orgs/acme/services/platform");
  update.mutable_update_mask()->add_paths("can_create_sessions");
  const auto taken = world.directory.principals.UpdateService(root, update);
  ASSERT_TRUE(taken.ok()) << taken.status();
  EXPECT_FALSE(taken->can_create_sessions());
  EXPECT_EQ(ReasonOf(world.Create(world.Platform(), TestSessions::Request()).status()), "PERMISSION_DENIED");
  update.mutable_service()->set_can_create_sessions(true);
  update.mutable_service()->set_etag("stale");
  EXPECT_EQ(ReasonOf(world.directory.principals.UpdateService(root, update).status()), "STALE_ETAG");
  update.mutable_service()->set_etag(taken->etag());
  ASSERT_TRUE(world.directory.principals.UpdateService(root, update).ok());
  EXPECT_TRUE(world.Create(world.Platform(), TestSessions::Request()).ok());
  EXPECT_EQ(world.directory.principals.UpdateService(world.directory.As("orgs/acme/users/ada"), update).status().code(),
            absl::StatusCode::kNotFound);
}

// What the user could not launch, a session for them does not either.
TEST(SessionRulesTest, GivesNothingThatTheUserHasNot) {
  TestSessions world;
  const auto reason = [&](const std::string& user, const std::string& team, const std::string& server) {
    v1::CreateSessionRequest request = TestSessions::Request(user);
    if (!team.empty()) request.mutable_session()->set_team("orgs/acme/teams/" + team);
    request.mutable_session()->set_mcp_servers(0, server);
    return ReasonOf(world.Create(world.Platform(), request).status());
  };
  EXPECT_EQ(reason("ada", "eng", TestSessions::kBuilder), "");
  EXPECT_EQ(reason("bob", "", TestSessions::kBuilder), "NOT_FOUND");
  EXPECT_EQ(reason("bob", "eng", TestSessions::kGithub), "NOT_FOUND");
  EXPECT_EQ(reason("root", "", TestSessions::kBuilder), "PERMISSION_DENIED");
  EXPECT_EQ(reason("root", "eng", TestSessions::kGithub), "NOT_A_TEAM_MEMBER");
  EXPECT_EQ(reason("root", "void", TestSessions::kGithub), "NOT_FOUND");
  EXPECT_EQ(reason("ada", "void", TestSessions::kGithub), "NOT_FOUND");
  EXPECT_EQ(reason("ada", "", "orgs/acme/mcpServers/void"), "NOT_FOUND");
  world.directory.SetTier(v1::TIER_FREE);
  EXPECT_EQ(reason("ada", "", TestSessions::kBuilder), "SCOPE_SUSPENDED");
  EXPECT_EQ(reason("ada", "eng", TestSessions::kGithub), "SCOPE_SUSPENDED");
  EXPECT_EQ(reason("ada", "", TestSessions::kGithub), "");
}

TEST(SessionRulesTest, RefusesBadRequestsAndNamesTheField) {
  TestSessions world;
  const Caller platform = world.Platform();
  const storage::Revision before = world.directory.store->View()->revision();
  using Edit = void (*)(v1::CreateSessionRequest*);
  const struct {
    const char* message;
    Edit edit;
  } cases[] = {
      {"parent: required", [](auto* r) { r->clear_parent(); }},
      {"parent: not an organization", [](auto* r) { r->set_parent("orgs/acme/teams/eng"); }},
      {"session.user: required", [](auto* r) { r->mutable_session()->clear_user(); }},
      {"session.user: not a resource name of this kind in this organization",
       [](auto* r) { r->mutable_session()->set_user("orgs/acme/services/platform"); }},
      {"session.user: not a resource name of this kind in this organization",
       [](auto* r) { r->mutable_session()->set_user("orgs/rival/users/ada"); }},
      {"session.team: not a resource name of this kind in this organization",
       [](auto* r) { r->mutable_session()->set_team("orgs/rival/teams/eng"); }},
      {"session.team: not a resource name of this kind in this organization",
       [](auto* r) { r->mutable_session()->set_team("orgs/acme/users/ada"); }},
      {"session.workload: not a resource name of this kind in this organization",
       [](auto* r) { r->mutable_session()->set_workload("orgs/rival/workloads/runner"); }},
      {"session.mcp_servers: required", [](auto* r) { r->mutable_session()->clear_mcp_servers(); }},
      {"session.mcp_servers: more than 64",
       [](auto* r) {
         for (int i = 0; i < 64; ++i) r->mutable_session()->add_mcp_servers(absl::StrCat("orgs/acme/mcpServers/m", i));
       }},
      {"session.mcp_servers[1]: named twice",
       [](auto* r) { r->mutable_session()->add_mcp_servers(TestSessions::kGithub); }},
      {"session.mcp_servers[1]: of another organization",
       [](auto* r) { r->mutable_session()->add_mcp_servers("orgs/rival/mcpServers/x"); }},
      {"ttl: out of range", [](auto* r) { r->mutable_ttl()->set_seconds(59); }},
      {"ttl: out of range", [](auto* r) { r->mutable_ttl(); }},
      {"ttl: out of range", [](auto* r) { r->mutable_ttl()->set_seconds(24 * 3600 + 1); }},
      {"ttl: out of range", [](auto* r) { r->mutable_ttl()->set_seconds(INT64_MAX); }},
      {"ttl: out of range", [](auto* r) { r->mutable_ttl()->set_seconds(INT64_MIN); }},
      {"ttl: out of range",
       [](auto* r) {
         r->mutable_ttl()->set_seconds(24 * 3600);
         r->mutable_ttl()->set_nanos(1);
       }},
      {"ttl: out of range",
       [](auto* r) {
         r->mutable_ttl()->set_seconds(100);
         r->mutable_ttl()->set_nanos(-1);
       }},
  };
  for (const auto& c : cases) {
    v1::CreateSessionRequest request = TestSessions::Request();
    c.edit(&request);
    const absl::Status status = world.Create(platform, request).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.message;
    EXPECT_EQ(status.message(), c.message);
  }
  EXPECT_EQ(world.directory.store->View()->revision(), before);
}

TEST(SessionRulesTest, WhoSeesAndRevokesWhat) {
  TestSessions world;
  const Caller ada = world.directory.As("orgs/acme/users/ada");
  const std::string by_platform = world.Made().session().name();
  const auto own = world.Create(ada, TestSessions::Request());
  ASSERT_TRUE(own.ok()) << own.status();
  const struct {
    const char* caller;
    bool sees_platforms;
    bool sees_own;
  } cases[] = {{"users/root", true, true},  {"services/console", true, true},
               {"users/ada", true, true},   {"services/platform", true, false},
               {"users/bob", false, false}, {"workloads/runner", false, false}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.caller);
    const Caller caller = world.directory.As(absl::StrCat("orgs/acme/", c.caller));
    for (const auto& [name, sees] :
         {std::pair(by_platform, c.sees_platforms), std::pair(own->session().name(), c.sees_own)}) {
      v1::GetSessionRequest get;
      get.set_name(name);
      const absl::Status got = world.sessions.GetSession(caller, get).status();
      EXPECT_EQ(got.ok(), sees) << got;
      v1::RevokeSessionRequest revoke;
      revoke.set_name(name);
      if (sees) continue;
      EXPECT_EQ(got.message(), name + ": not found");
      EXPECT_EQ(world.sessions.RevokeSession(caller, revoke).status(), got);
    }
    v1::ListSessionsRequest list;
    list.set_parent("orgs/acme");
    const auto listed = world.sessions.ListSessions(caller, list);
    const bool workload = std::string(c.caller) == "workloads/runner";
    EXPECT_EQ(listed.ok(), !workload);
    if (!workload) {
      EXPECT_EQ(listed->sessions_size(), (c.sees_platforms ? 1 : 0) + (c.sees_own ? 1 : 0));
    }
  }
  for (const char* caller : {"services/platform", "users/root"}) {
    v1::RevokeSessionRequest revoke;
    revoke.set_name(std::string(caller) == "users/root" ? own->session().name() : by_platform);
    const Caller as = world.directory.As(absl::StrCat("orgs/acme/", caller));
    EXPECT_TRUE(world.sessions.RevokeSession(as, revoke).ok());
    EXPECT_EQ(ReasonOf(world.sessions.RevokeSession(as, revoke).status()), "NOT_FOUND");
  }
  EXPECT_EQ(world.Listed(), "");
}

TEST(SessionRulesTest, ListsNewestFirstAcrossPagesAndByUser) {
  TestSessions world;
  std::string expected;
  for (int i = 0; i < 5; ++i) {
    const std::string name = world.Made(TestSessions::Request(i % 2 == 0 ? "ada" : "bob")).session().name();
    if (i % 2 == 0) expected = name + " " + expected;
    world.directory.now += absl::Seconds(1);
  }
  const Caller root = world.directory.Root();
  v1::ListSessionsRequest list;
  list.set_parent("orgs/acme");
  list.set_user("orgs/acme/users/ada");
  list.set_page_size(2);
  std::string names;
  do {
    const auto page = world.sessions.ListSessions(root, list);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_LE(page->sessions_size(), 2);
    for (const auto& session : page->sessions()) names += session.name() + " ";
    list.set_page_token(page->next_page_token());
    if (list.page_token().empty()) break;
    v1::ListSessionsRequest other_filter = list;
    other_filter.clear_user();
    EXPECT_EQ(ReasonOf(world.sessions.ListSessions(root, other_filter).status()), "INVALID_FIELD");
  } while (true);
  EXPECT_EQ(names, expected);
  for (const char* user : {"orgs/rival/users/ada", "orgs/acme/teams/eng", "x"}) {
    v1::ListSessionsRequest bad;
    bad.set_parent("orgs/acme");
    bad.set_user(user);
    EXPECT_EQ(ReasonOf(world.sessions.ListSessions(root, bad).status()), "INVALID_FIELD") << user;
  }
}

TEST(SessionRulesTest, EndedSessionsLookAbsentAndAreSweptAway) {
  TestSessions world;
  SessionSweeper sweeper(world.directory.store.get(), world.directory.context.clock);
  const v1::Session ending = world.Made(WithTtl(60)).session();
  const v1::Session lasting = world.Made(WithTtl(3600)).session();
  EXPECT_EQ(*sweeper.RunOnce(), 0);
  EXPECT_EQ(sweeper.live(), 2);
  world.directory.now += absl::Seconds(59);
  EXPECT_EQ(*sweeper.RunOnce(), 0);
  world.directory.now += absl::Seconds(1);
  EXPECT_TRUE(world.IsStored(ending));
  v1::GetSessionRequest get;
  get.set_name(ending.name());
  EXPECT_EQ(ReasonOf(world.sessions.GetSession(world.directory.Root(), get).status()), "NOT_FOUND");
  v1::RevokeSessionRequest revoke;
  revoke.set_name(ending.name());
  EXPECT_EQ(ReasonOf(world.sessions.RevokeSession(world.directory.Root(), revoke).status()), "NOT_FOUND");
  EXPECT_EQ(absl::StrCat("orgs/acme/sessions/", world.Listed()), lasting.name());
  EXPECT_EQ(*sweeper.RunOnce(), 1);
  EXPECT_FALSE(world.IsStored(ending));
  EXPECT_TRUE(world.IsStored(lasting));
  EXPECT_EQ(*sweeper.RunOnce(), 0);
  EXPECT_EQ(sweeper.live(), 1);
  world.directory.now += absl::Hours(1);
  EXPECT_EQ(*sweeper.RunOnce(), 1);
  EXPECT_EQ(sweeper.live(), 0);
}

}  // namespace
}  // namespace keyferry::server
