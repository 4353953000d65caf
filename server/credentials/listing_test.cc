// Filters, orders and pages of ListCredentials.
#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "server/credentials/credential_query.h"
#include "server/credentials/testing_world.h"
#include "server/names.h"

namespace keyferry::server {
namespace {

using storage::EngineKind;
using Edit = std::function<void(v1::ListCredentialsRequest*)>;

class ListingTest : public testing::Test {
 protected:
  absl::StatusOr<v1::ListCredentialsResponse> Page(const Caller& caller, const Edit& edit, int size = 0,
                                                   const std::string& token = "") {
    v1::ListCredentialsRequest request;
    request.set_parent("orgs/acme");
    request.set_page_size(size);
    request.set_page_token(token);
    edit(&request);
    return world_.credentials->ListCredentials(caller, request);
  }
  // All pages of that size, as "A eng/B me/C": the parent and the id.
  std::string List(const Caller& caller, const Edit& edit, int size = 1000) {
    std::vector<std::string> names;
    std::string token;
    do {
      const auto page = Page(caller, edit, size, token);
      EXPECT_TRUE(page.ok()) << page.status();
      if (!page.ok()) return "(failed)";
      EXPECT_LE(page->credentials_size(), size);
      for (const auto& one : page->credentials()) {
        const auto name = ParseChild(one.name(), "credentials", "name");
        names.push_back(absl::StrCat(name->parent.id, name->parent.id.empty() ? "" : "/", name->id));
      }
      token = page->next_page_token();
    } while (!token.empty());
    return absl::StrJoin(names, " ");
  }
  void Use(const std::string& parent, const std::string& id) {
    ResolutionEvent event;
    event.org = "acme";
    event.mcp_server = "orgs/acme/mcpServers/x";
    event.principal = "orgs/acme/users/root";
    event.credentials.push_back({parent, id, 1});
    ASSERT_TRUE(world_.usage->RecordNow(event, "ResolutionService/Resolve").ok());
  }
  void Remind(const std::string& name, absl::Time by) {
    v1::UpdateCredentialRequest request;
    request.mutable_credential()->set_name(name);
    request.mutable_credential()->mutable_rotate_by()->set_seconds(absl::ToUnixSeconds(by));
    ASSERT_TRUE(world_.credentials->UpdateCredential(world_.As("root"), request).ok());
  }
  static Edit Scopes(std::vector<v1::CredentialScope> scopes) {
    return [scopes](v1::ListCredentialsRequest* request) {
      for (const auto scope : scopes) request->mutable_filter()->add_scopes(scope);
    };
  }
  static Edit Order(const std::string& order) {
    return [order](v1::ListCredentialsRequest* request) { request->set_order_by(order); };
  }

  World world_{EngineKind::kMemory};
};

TEST_F(ListingTest, ScopesShowEverythingThatTheCallerMaySeeAndNothingElse) {
  world_.Create(world_.As("root"), "orgs/acme", "B", "v");
  world_.Create(world_.As("root"), "orgs/acme", "A", "v");
  world_.Create(world_.As("ada"), "orgs/acme/teams/eng", "E", "v");
  world_.Create(world_.As("ada"), "orgs/acme/teams/default", "D", "v");
  for (const char* user : {"root", "ada", "bob", "eve"}) {
    world_.Create(world_.As(user), absl::StrCat("orgs/acme/users/", user), "MINE", "v");
  }
  const auto org = v1::CREDENTIAL_SCOPE_ORG;
  const auto team = v1::CREDENTIAL_SCOPE_TEAM;
  const auto user = v1::CREDENTIAL_SCOPE_USER;
  const std::map<std::string, std::map<std::string, Edit>> expected = {
      {"root",
       {{"A B default/D eng/E root/MINE", Scopes({user, team, org})},
        {"default/D eng/E", Scopes({team})},
        {"root/MINE", Scopes({user})},
        {"A B", Scopes({org, org})}}},
      {"ada", {{"A B default/D eng/E ada/MINE", Scopes({org, team, user})}}},
      {"bob", {{"A B eng/E bob/MINE", Scopes({org, team, user})}, {"bob/MINE", Scopes({user})}}},
      {"eve", {{"A B eve/MINE", Scopes({org, team, user})}, {"", Scopes({team})}}},
      {"zoe", {{"A B", Scopes({org, team, user})}, {"", Scopes({user})}}}};
  for (const auto& [caller, lists] : expected) {
    for (const auto& [names, edit] : lists) {
      for (const int size : {1, 2, 1000}) EXPECT_EQ(List(world_.As(caller), edit, size), names) << caller << size;
    }
  }
  EXPECT_EQ(List(world_.Service(v1::ORG_ROLE_ADMIN), Scopes({org, team, user})), "A B default/D eng/E");
  EXPECT_EQ(List(world_.Service(v1::ORG_ROLE_MEMBER), Scopes({org, team, user})), "A B");
  for (const Caller& stranger : {world_.As("mallory"), world_.Workload({"orgs/acme/mcpServers/x"})}) {
    EXPECT_TRUE(absl::IsNotFound(Page(stranger, Scopes({org})).status())) << stranger.Name();
  }
}

TEST_F(ListingTest, EveryConditionMustHold) {
  const Caller root = world_.As("root");
  const Caller ada = world_.As("ada");
  for (const char* id : {"GITHUB_TOKEN", "GITLAB_TOKEN", "SLACK"}) world_.Create(root, "orgs/acme", id, "v");
  world_.Create(ada, "orgs/acme/teams/eng", "TEAM_TOKEN", "v");
  const Edit all = Scopes({v1::CREDENTIAL_SCOPE_ORG, v1::CREDENTIAL_SCOPE_TEAM});
  const auto with = [&](const std::function<void(v1::CredentialFilter*)>& edit) {
    return List(world_.As("ada"), [&](v1::ListCredentialsRequest* request) {
      all(request);
      edit(request->mutable_filter());
    });
  };
  EXPECT_EQ(with([](auto* f) { f->set_id_pattern("*_TOKEN"); }), "GITHUB_TOKEN GITLAB_TOKEN eng/TEAM_TOKEN");
  EXPECT_EQ(with([](auto* f) { f->set_id_pattern("GIT???_*"); }), "GITHUB_TOKEN GITLAB_TOKEN");
  EXPECT_EQ(with([](auto* f) { f->set_id_pattern("slack"); }), "");
  EXPECT_EQ(with([](auto* f) { f->set_source(v1::CREDENTIAL_SOURCE_OAUTH); }), "");
  EXPECT_EQ(with([](auto* f) { f->set_source(v1::CREDENTIAL_SOURCE_MANUAL); }),
            "GITHUB_TOKEN GITLAB_TOKEN SLACK eng/TEAM_TOKEN");
  world_.tier = v1::TIER_FREE;
  EXPECT_EQ(with([](auto* f) { f->set_status(v1::CREDENTIAL_STATUS_SUSPENDED); }), "eng/TEAM_TOKEN");
  EXPECT_EQ(with([](auto* f) { f->set_status(v1::CREDENTIAL_STATUS_ACTIVE); }), "GITHUB_TOKEN GITLAB_TOKEN SLACK");
  world_.tier = v1::TIER_BUSINESS;

  // A reminder is overdue from the moment after it.
  Remind("orgs/acme/credentials/SLACK", world_.now + absl::Hours(1));
  EXPECT_EQ(with([](auto* f) { f->set_rotation_overdue(true); }), "");
  EXPECT_FALSE(world_.Get(root, "orgs/acme/credentials/SLACK")->rotation_overdue());
  world_.now += absl::Hours(1);
  EXPECT_EQ(with([](auto* f) { f->set_rotation_overdue(true); }), "");
  world_.now += absl::Nanoseconds(1);
  EXPECT_EQ(with([](auto* f) { f->set_rotation_overdue(true); }), "SLACK");
  EXPECT_TRUE(world_.Get(root, "orgs/acme/credentials/SLACK")->rotation_overdue());
  EXPECT_EQ(with([](auto* f) {
              f->set_rotation_overdue(true);
              f->set_id_pattern("*_TOKEN");
            }),
            "");
}

TEST_F(ListingTest, UnusedMeansOldAndNotResolvedSince) {
  const Caller root = world_.As("root");
  for (const char* id : {"OLD_UNUSED", "OLD_USED_BEFORE", "OLD_USED_AFTER"}) world_.Create(root, "orgs/acme", id, "v");
  world_.now += absl::Hours(1);
  Use("", "OLD_USED_BEFORE");
  world_.now += absl::Hours(1);
  const absl::Time since = world_.now;
  Use("", "OLD_USED_AFTER");
  world_.Create(root, "orgs/acme", "NEW", "v");
  const auto unused = [&](absl::Time time) {
    return List(root, [&](v1::ListCredentialsRequest* request) {
      request->mutable_filter()->mutable_unused_since()->set_seconds(absl::ToUnixSeconds(time));
    });
  };
  EXPECT_EQ(unused(since), "OLD_UNUSED OLD_USED_BEFORE");
  EXPECT_EQ(unused(since - absl::Hours(1)), "OLD_UNUSED");
  EXPECT_EQ(unused(since - absl::Hours(2)), "");
  EXPECT_EQ(unused(since + absl::Seconds(1)), "NEW OLD_UNUSED OLD_USED_AFTER OLD_USED_BEFORE");
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  EXPECT_EQ(unused(since), "OLD_UNUSED OLD_USED_BEFORE");
}

TEST_F(ListingTest, OrdersWithTiesByNameAndWhatHasNoTimeLast) {
  const Caller root = world_.As("root");
  // In the order of creation, D and C at once.
  for (const char* id : {"D", "C"}) world_.Create(root, "orgs/acme", id, "v");
  world_.now += absl::Seconds(1);
  for (const char* id : {"A", "B"}) world_.Create(root, "orgs/acme", id, "v");
  world_.now += absl::Seconds(1);
  Use("", "B");
  world_.now += absl::Seconds(1);
  Use("", "D");
  Remind("orgs/acme/credentials/C", absl::FromUnixSeconds(100));
  Remind("orgs/acme/credentials/A", absl::FromUnixSeconds(50));
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "A B C D"},
      {"name", "A B C D"},
      {" name  desc ", "D C B A"},
      {"create_time", "C D A B"},
      {"create_time desc", "A B C D"},
      {"create_time desc,name desc", "B A D C"},
      {"update_time", "D B A C"},
      {"last_use_time", "B D A C"},
      {"last_use_time desc", "D B A C"},
      {"rotate_by", "A C B D"},
      {"rotate_by desc", "C A B D"},
      {"rotate_by\tdesc , create_time , name desc", "C A D B"},
  };
  for (const auto& [order, names] : cases) {
    for (const int size : {1, 3, 1000}) EXPECT_EQ(List(root, Order(order), size), names) << order << " by " << size;
  }
}

TEST_F(ListingTest, PagesAreStableWhileTheListChanges) {
  const Caller root = world_.As("root");
  for (const char* id : {"B", "C", "D", "E"}) {
    world_.now += absl::Seconds(1);
    world_.Create(root, "orgs/acme", id, "v");
  }
  for (const char* order : {"name", "create_time"}) {
    auto page = Page(root, Order(order), 2);
    ASSERT_TRUE(page.ok()) << page.status();
    EXPECT_EQ(page->credentials(1).name(), "orgs/acme/credentials/C");
    // What was shown last is deleted, and something comes before it: neither repeats nor skips anything.
    v1::DeleteCredentialRequest gone;
    gone.set_name("orgs/acme/credentials/C");
    ASSERT_TRUE(world_.credentials->DeleteCredential(root, gone).ok());
    const auto rest = Page(root, Order(order), 5, page->next_page_token());
    ASSERT_TRUE(rest.ok()) << rest.status();
    ASSERT_EQ(rest->credentials_size(), 2) << order;
    EXPECT_EQ(rest->credentials(0).name(), "orgs/acme/credentials/D");
    EXPECT_EQ(rest->next_page_token(), "");
    const absl::Time now = world_.now;
    world_.now = absl::FromUnixSeconds(1800000002);
    world_.Create(root, "orgs/acme", "C", "v");
    world_.now = now;
  }
}

TEST_F(ListingTest, APageTokenIsBoundToTheRequest) {
  const Caller root = world_.As("root");
  for (const char* id : {"A", "B", "C"}) world_.Create(root, "orgs/acme", id, "v");
  const std::string token = Page(root, Order("create_time"), 1)->next_page_token();
  ASSERT_NE(token, "");
  const auto refused = [&](const Caller& caller, const Edit& edit) {
    return DetailOf(Page(caller, edit, 1, token).status()).field() == "page_token";
  };
  EXPECT_TRUE(Page(root, Order("create_time"), 2, token).ok()) << "the page size may change";
  EXPECT_TRUE(refused(root, Order("")));
  EXPECT_TRUE(refused(root, Order("create_time desc")));
  EXPECT_TRUE(refused(world_.As("bob"), Order("create_time")));
  EXPECT_TRUE(refused(root, [](auto* request) {
    request->set_order_by("create_time");
    request->mutable_filter()->set_id_pattern("*");
  }));
  EXPECT_TRUE(refused(root, [](auto* request) {
    request->set_order_by("create_time");
    request->set_parent("orgs/acme/users/root");
  }));
}

TEST_F(ListingTest, BadConditionsAndOrdersAreNamed) {
  struct Case {
    std::string what;
    std::string field;
    Edit edit;
  };
  const std::vector<Case> cases = {
      {"scope 0", "filter.scopes[1]", Scopes({v1::CREDENTIAL_SCOPE_ORG, v1::CREDENTIAL_SCOPE_UNSPECIFIED})},
      {"scope 9", "filter.scopes[0]", Scopes({static_cast<v1::CredentialScope>(9)})},
      {"scopes of a user", "filter.scopes",
       [](auto* r) {
         r->set_parent("orgs/acme/users/root");
         r->mutable_filter()->add_scopes(v1::CREDENTIAL_SCOPE_USER);
       }},
      {"pattern", "filter.id_pattern", [](auto* r) { r->mutable_filter()->set_id_pattern("A-B"); }},
      {"class", "filter.id_pattern", [](auto* r) { r->mutable_filter()->set_id_pattern("[A]"); }},
      {"long pattern", "filter.id_pattern",
       [](auto* r) { r->mutable_filter()->set_id_pattern(std::string(129, '*')); }},
      {"status", "filter.status",
       [](auto* r) { r->mutable_filter()->set_status(static_cast<v1::CredentialStatus>(7)); }},
      {"source", "filter.source",
       [](auto* r) { r->mutable_filter()->set_source(static_cast<v1::CredentialSource>(-1)); }},
      {"time", "filter.unused_since", [](auto* r) { r->mutable_filter()->mutable_unused_since()->set_seconds(-1); }},
      {"field", "order_by", Order("version")},
      {"direction", "order_by", Order("name asc")},
      {"three words", "order_by", Order("name desc desc")},
      {"twice", "order_by", Order("name, name desc")},
      {"empty term", "order_by", Order("name,")},
      {"separator", "order_by", Order("name;create_time")},
      {"long", "order_by", Order(std::string(257, ' ') + "name")},
  };
  for (const Case& c : cases) {
    const absl::Status status = Page(world_.As("root"), c.edit).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << c.what << ": " << status;
    EXPECT_EQ(DetailOf(status).field(), c.field) << c.what;
  }
}

TEST(MatchesPatternTest, StarsAndQuestionMarks) {
  const std::vector<std::vector<std::string>> matching = {
      {"", ""},   {"*", ""},   {"*", "A"},     {"A*", "A"},     {"A*B*C", "AXBYC"}, {"*AB", "AAAB"},
      {"?", "A"}, {"*?", "A"}, {"**A**", "A"}, {"*A*A", "BAA"}, {"A?C", "ABC"},     {"*AB*AB", "ABAABAB"}};
  for (const auto& c : matching) EXPECT_TRUE(MatchesPattern(c[0], c[1])) << c[0] << " " << c[1];
  const std::vector<std::vector<std::string>> others = {{"", "A"},    {"?", ""},     {"A", "a"},     {"A*", "BA"},
                                                        {"*A", "AB"}, {"A?C", "AC"}, {"*?*?*", "A"}, {"A*B", "ABC"}};
  for (const auto& c : others) EXPECT_FALSE(MatchesPattern(c[0], c[1])) << c[0] << " " << c[1];
  // Would not end in time if every star were tried anew.
  std::string pattern;
  for (int i = 0; i < 64; ++i) pattern += "A*";
  EXPECT_FALSE(MatchesPattern(pattern + "B", std::string(128, 'A')));
}

}  // namespace
}  // namespace keyferry::server
