#include "server/pagination.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

Caller Ada() {
  Caller caller;
  caller.org = "acme";
  caller.id = "ada";
  return caller;
}

TEST(PageTokensTest, RoundTripAndEmpty) {
  const PageTokens tokens;
  const std::string token = tokens.Make(Ada(), "ListUsers", "orgs/acme", "bob");
  EXPECT_EQ(*tokens.Read(Ada(), "ListUsers", "orgs/acme", token), "bob");
  EXPECT_EQ(*tokens.Read(Ada(), "ListUsers", "orgs/acme", ""), "");
}

TEST(PageTokensTest, EveryChangeIsRefused) {
  const PageTokens tokens;
  const std::string token = tokens.Make(Ada(), "ListUsers", "orgs/acme", "bob");
  for (size_t i = 0; i < token.size(); ++i) {
    std::string changed = token;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_EQ(tokens.Read(Ada(), "ListUsers", "orgs/acme", changed).status().code(), absl::StatusCode::kInvalidArgument)
        << i;
    EXPECT_FALSE(tokens.Read(Ada(), "ListUsers", "orgs/acme", token.substr(0, i)).ok() && i > 0) << i;
  }
}

TEST(PageTokensTest, BoundToCallerMethodParentAndProcess) {
  const PageTokens tokens;
  const std::string token = tokens.Make(Ada(), "ListUsers", "orgs/acme", "bob");
  Caller service = Ada();
  service.kind = PrincipalKind::kService;
  EXPECT_FALSE(tokens.Read(service, "ListUsers", "orgs/acme", token).ok());
  EXPECT_FALSE(tokens.Read(Ada(), "ListTeams", "orgs/acme", token).ok());
  EXPECT_FALSE(tokens.Read(Ada(), "ListUsers", "orgs/rival", token).ok());
  EXPECT_FALSE(PageTokens().Read(Ada(), "ListUsers", "orgs/acme", token).ok());
}

TEST(MakePageTest, WalksAllIdsInOrder) {
  const PageTokens tokens;
  const std::vector<std::string> ids = {"e", "b", "a", "d", "c"};
  std::string seen;
  std::string token;
  int pages = 0;
  do {
    const auto page = MakePage(tokens, Ada(), "L", "p", 2, token, ids);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const std::string& id : page->ids) seen += id;
    token = page->next_page_token;
    ++pages;
  } while (!token.empty());
  EXPECT_EQ(seen, "abcde");
  EXPECT_EQ(pages, 3);
}

TEST(MakePageTest, GoesOnAfterTheLastIdWasDeleted) {
  const PageTokens tokens;
  const auto first = MakePage(tokens, Ada(), "L", "p", 1, "", {"a", "b", "c"});
  const auto second = MakePage(tokens, Ada(), "L", "p", 1, first->next_page_token, {"b", "c"});
  EXPECT_EQ(second->ids, std::vector<std::string>{"b"});
}

TEST(EffectivePageSizeTest, DefaultsAndBounds) {
  EXPECT_EQ(*EffectivePageSize(0), 100u);
  EXPECT_EQ(*EffectivePageSize(7), 7u);
  EXPECT_EQ(*EffectivePageSize(100000), 1000u);
  EXPECT_EQ(EffectivePageSize(-1).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace keyferry::server
