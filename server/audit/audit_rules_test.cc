#include "server/audit/audit_rules.h"

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "server/credentials/testing_world.h"
#include "storage/journal.h"

namespace keyferry::server {
namespace {

using storage::EngineKind;

class AuditRulesTest : public testing::TestWithParam<EngineKind> {
 protected:
  // Adds an entry whose method tells it from the others.
  void Log(const std::string& method, const std::string& text, const std::string& org = "acme") {
    CallRecord record;
    record.org = org;
    record.entry.set_method(method);
    record.entry.mutable_time()->set_seconds(absl::ToUnixSeconds(world_.now));
    const size_t bar = text.find('|');
    record.entry.set_principal(text.substr(0, bar));
    if (bar != std::string::npos) record.entry.set_resource(text.substr(bar + 1));
    ASSERT_TRUE(world_.audit->Store(record).ok());
  }
  void LogResolution(const std::string& method, const std::string& user, const std::string& team,
                     const std::vector<std::string>& credentials) {
    CallRecord record;
    record.org = "acme";
    record.entry.set_method(method);
    record.entry.set_principal("orgs/acme/workloads/other");
    record.entry.set_resource("orgs/acme/mcpServers/m");
    record.entry.set_user(user);
    record.entry.set_team(team);
    for (const std::string& credential : credentials) record.entry.add_credentials()->set_credential(credential);
    record.entry.mutable_time()->set_seconds(absl::ToUnixSeconds(world_.now));
    ASSERT_TRUE(world_.audit->Store(record).ok());
  }

  absl::StatusOr<v1::ListAuditEntriesResponse> List(const Caller& caller, const v1::AuditFilter& filter = {},
                                                    int page_size = 1000, const std::string& token = "") {
    v1::ListAuditEntriesRequest request;
    request.set_parent("orgs/acme");
    *request.mutable_filter() = filter;
    request.set_page_size(page_size);
    request.set_page_token(token);
    return rules_.ListAuditEntries(caller, request);
  }
  // The methods of what is listed, newest first, joined.
  std::string Listed(const Caller& caller, const v1::AuditFilter& filter = {}) {
    const auto response = List(caller, filter);
    EXPECT_TRUE(response.ok()) << response.status();
    if (!response.ok()) return response.status().ToString();
    EXPECT_EQ(response->next_page_token(), "");
    std::vector<std::string> methods;
    for (const v1::AuditEntry& entry : response->entries()) methods.push_back(entry.method());
    return absl::StrJoin(methods, " ");
  }
  v1::VerifyAuditLogResponse Verify(const v1::AuditHead& expected = {}) {
    v1::VerifyAuditLogRequest request;
    request.set_parent("orgs/acme");
    *request.mutable_expected() = expected;
    const auto response = rules_.VerifyAuditLog(world_.As("root"), request);
    EXPECT_TRUE(response.ok()) << response.status();
    return response.ok() ? *response : v1::VerifyAuditLogResponse();
  }
  v1::AuditHead Head() {
    v1::GetAuditHeadRequest request;
    request.set_parent("orgs/acme");
    const auto head = rules_.GetAuditHead(world_.As("root"), request);
    EXPECT_TRUE(head.ok()) << head.status();
    return head.ok() ? *head : v1::AuditHead();
  }
  void LogMany(int count) {
    for (int i = 1; i <= count; ++i) Log(absl::StrCat("S/M", i), "orgs/acme/users/bob");
  }
  // What an attacker who holds the keys can do to the stored journal.
  storage::JournalBlock Block(uint64_t number) {
    auto block = storage::ReadJournalBlock(*world_.store->View(), "acme", number);
    EXPECT_TRUE(block.ok()) << block.status();
    return *std::move(block);
  }
  void PutBlock(const storage::JournalBlock& block, uint64_t number) {
    std::string payload = storage::BeginJournalBlock(number, block.first_sequence, block.previous_hash);
    for (const storage::JournalEntry& entry : block.entries) storage::AppendJournalEntry(entry.payload, payload);
    ASSERT_TRUE(storage::PutOne(*world_.store, storage::JournalBlockKey("acme", number), payload, number).ok());
  }
  void DeleteBlock(uint64_t number) {
    ASSERT_TRUE(storage::DeleteOne(*world_.store, storage::JournalBlockKey("acme", number)).ok());
  }
  void PutHead(const storage::JournalHead& head) {
    ASSERT_TRUE(
        storage::PutOne(*world_.store, storage::JournalHeadKey("acme"), head.Serialize(), head.last_sequence).ok());
  }

  World world_{GetParam()};
  AuditRules rules_{world_.store.get(), &world_.pages};
};

INSTANTIATE_TEST_SUITE_P(Engines, AuditRulesTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return storage::EngineName(info.param); });

TEST_P(AuditRulesTest, EveryoneSeesWhatThePolicyLetsThem) {
  const std::string org = "orgs/acme";
  Log("byBob", org + "/users/bob|orgs/acme/credentials/A");
  Log("byEve", org + "/users/eve|orgs/acme/teams/ops/credentials/A");
  Log("eng", org + "/users/root|orgs/acme/teams/eng");
  Log("engDeep", org + "/users/root|orgs/acme/teams/eng/credentials/A");
  Log("engine", org + "/users/root|orgs/acme/teams/engine/credentials/A");
  Log("byBobby", org + "/users/bobby|orgs/acme");
  Log("byService", org + "/services/platform|orgs/acme");
  Log("byInjector", org + "/workloads/injector|orgs/acme/mcpServers/m");
  LogResolution("forBob", org + "/users/bob", "", {});
  LogResolution("forEng", "", org + "/teams/eng", {});
  LogResolution("forZoeInOps", org + "/users/zoe", org + "/teams/ops", {});
  struct Case {
    Caller caller;
    std::string listed;
  };
  const std::string all = "forZoeInOps forEng forBob byInjector byService byBobby engine engDeep eng byEve byBob";
  const Case cases[] = {
      {world_.As("root"), all},
      {world_.Service(v1::ORG_ROLE_ADMIN), all},
      {world_.As("ada"), "forEng engDeep eng"},
      {world_.As("bob"), "forBob byBob"},
      {world_.As("eve"), "byEve"},
      {world_.As("zoe"), "forZoeInOps"},
      {world_.Service(v1::ORG_ROLE_MEMBER), "byService"},
      {world_.Workload({"orgs/acme/mcpServers/m"}), "byInjector"},
  };
  for (const Case& c : cases) EXPECT_EQ(Listed(c.caller), c.listed) << c.caller.Name();
  const auto hidden = List(world_.As("mallory"));
  EXPECT_TRUE(absl::IsNotFound(hidden.status()));
  EXPECT_EQ(DetailOf(hidden.status()).resource(), "orgs/acme");
}

TEST_P(AuditRulesTest, TheChainIsForAnAdmin) {
  LogMany(1);
  v1::GetAuditHeadRequest get;
  get.set_parent("orgs/acme");
  v1::VerifyAuditLogRequest verify;
  verify.set_parent("orgs/acme");
  for (const Caller& caller : {world_.As("ada"), world_.As("zoe"), world_.Service(v1::ORG_ROLE_MEMBER),
                               world_.Workload({"orgs/acme/mcpServers/m"})}) {
    EXPECT_TRUE(absl::IsPermissionDenied(rules_.GetAuditHead(caller, get).status())) << caller.Name();
    EXPECT_TRUE(absl::IsPermissionDenied(rules_.VerifyAuditLog(caller, verify).status())) << caller.Name();
  }
  EXPECT_TRUE(absl::IsNotFound(rules_.GetAuditHead(world_.As("mallory"), get).status()));
  EXPECT_TRUE(absl::IsNotFound(rules_.VerifyAuditLog(world_.As("mallory"), verify).status()));
  EXPECT_TRUE(rules_.GetAuditHead(world_.Service(v1::ORG_ROLE_ADMIN), get).ok());
}

TEST_P(AuditRulesTest, APersonalCredentialOfAnotherIsLeftOutForATeamsLead) {
  const std::vector<std::string> used = {
      "orgs/acme/users/bob/credentials/A", "orgs/acme/teams/eng/credentials/B",      "orgs/acme/credentials/C",
      "orgs/acme/users/ada/credentials/D", "orgs/acme/users/bob/connections/google", "orgs/acme/connections/google"};
  LogResolution("forBobInEng", "orgs/acme/users/bob", "orgs/acme/teams/eng", used);
  const std::map<std::string, std::string> shown = {{"ada", "1 2 3 5"}, {"bob", "0 1 2 4 5"}, {"root", "0 1 2 3 4 5"}};
  for (const auto& [user, indices] : shown) {
    const auto listed = List(world_.As(user));
    ASSERT_TRUE(listed.ok() && listed->entries_size() == 1) << user;
    std::vector<std::string> found;
    for (size_t i = 0; i < used.size(); ++i) {
      for (const auto& credential : listed->entries(0).credentials()) {
        if (credential.credential() == used[i]) found.push_back(absl::StrCat(i));
      }
    }
    EXPECT_EQ(absl::StrJoin(found, " "), indices) << user;
  }
  // Nor does a filter tell of it.
  v1::AuditFilter filter;
  filter.set_resource(used[0]);
  EXPECT_EQ(Listed(world_.As("ada"), filter), "");
  EXPECT_EQ(Listed(world_.As("bob"), filter), "forBobInEng");
  filter.set_resource(used[4]);
  EXPECT_EQ(Listed(world_.As("ada"), filter), "");
  EXPECT_EQ(Listed(world_.As("bob"), filter), "forBobInEng");
}

TEST_P(AuditRulesTest, FiltersHoldTogether) {
  const absl::Time start = world_.now;
  Log("CredentialService/GetCredential", "orgs/acme/users/bob|orgs/acme/teams/eng/credentials/A");
  world_.now += absl::Hours(30);
  Log("CredentialService/RotateCredential", "orgs/acme/users/ada|orgs/acme/teams/eng/credentials/A");
  Log("CredentialServiceX/Y", "orgs/acme/users/ada|orgs/acme/teams/engine");
  world_.now += absl::Hours(30);
  LogResolution("ResolutionService/Resolve", "", "", {"orgs/acme/teams/eng/credentials/A"});
  CallRecord failed;
  failed.org = "acme";
  failed.entry.set_method("TokenService/CreateToken");
  failed.entry.set_principal("orgs/acme/users/bob");
  failed.entry.mutable_time()->set_seconds(absl::ToUnixSeconds(world_.now));
  failed.entry.set_code(7);
  ASSERT_TRUE(world_.audit->Store(failed).ok());
  const auto with = [](auto set) {
    v1::AuditFilter filter;
    set(filter);
    return filter;
  };
  const auto seconds = [&](absl::Duration after) { return absl::ToUnixSeconds(start + after); };
  const Caller root = world_.As("root");
  EXPECT_EQ(Listed(root, with([](auto& f) { f.set_principal("orgs/acme/users/bob"); })),
            "TokenService/CreateToken CredentialService/GetCredential");
  EXPECT_EQ(Listed(root, with([](auto& f) { f.set_method("CredentialService"); })),
            "CredentialService/RotateCredential CredentialService/GetCredential");
  EXPECT_EQ(Listed(root, with([](auto& f) { f.set_method("CredentialService/GetCredential"); })),
            "CredentialService/GetCredential");
  EXPECT_EQ(Listed(root, with([](auto& f) { f.set_resource("orgs/acme/teams/eng"); })),
            "ResolutionService/Resolve CredentialService/RotateCredential CredentialService/GetCredential");
  EXPECT_EQ(Listed(root, with([](auto& f) { f.set_failed(true); })), "TokenService/CreateToken");
  EXPECT_EQ(Listed(root, with([&](auto& f) { f.mutable_since()->set_seconds(seconds(absl::Hours(31))); })),
            "TokenService/CreateToken ResolutionService/Resolve");
  EXPECT_EQ(Listed(root, with([&](auto& f) { f.mutable_until()->set_seconds(seconds(absl::Hours(1))); })),
            "CredentialService/GetCredential");
  EXPECT_EQ(Listed(root, with([&](auto& f) {
                     f.mutable_since()->set_seconds(seconds(absl::Hours(30)));
                     f.mutable_until()->set_seconds(seconds(absl::Hours(60)));
                     f.set_principal("orgs/acme/users/ada");
                     f.set_method("CredentialService");
                   })),
            "CredentialService/RotateCredential");
}

TEST_P(AuditRulesTest, PagesHoldTheirPlaceWhileEntriesAreAdded) {
  LogMany(10);
  std::vector<int64_t> seen;
  std::string token;
  do {
    const auto page = List(world_.As("root"), {}, 3, token);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const v1::AuditEntry& entry : page->entries()) seen.push_back(entry.sequence());
    token = page->next_page_token();
    Log("S/Later", "orgs/acme/users/bob");
  } while (!token.empty());
  EXPECT_EQ(seen, (std::vector<int64_t>{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}));
}

TEST_P(AuditRulesTest, APageTokenIsForItsListAlone) {
  LogMany(3);
  const std::string token = List(world_.As("root"), {}, 1)->next_page_token();
  v1::AuditFilter failed;
  failed.set_failed(true);
  for (const auto& other : {List(world_.As("root"), failed, 1, token), List(world_.As("bob"), {}, 1, token),
                            List(world_.As("root"), {}, 1, token + "A")}) {
    EXPECT_EQ(DetailOf(other.status()).field(), "page_token");
  }
}

TEST_P(AuditRulesTest, ACallLooksThroughABoundedPart) {
  Log("S/First", "orgs/acme/users/eve");
  LogMany(10);
  AuditRules::Limits limits;
  limits.scanned_entries = 4;
  const AuditRules bounded(world_.store.get(), &world_.pages, limits);
  v1::ListAuditEntriesRequest request;
  request.set_parent("orgs/acme");
  request.mutable_filter()->set_principal("orgs/acme/users/eve");
  std::vector<int> sizes;
  do {
    const auto page = bounded.ListAuditEntries(world_.As("root"), request);
    ASSERT_TRUE(page.ok()) << page.status();
    sizes.push_back(page->entries_size());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(sizes, (std::vector<int>{0, 0, 1}));
  limits.page_bytes = 1;
  const AuditRules small(world_.store.get(), &world_.pages, limits);
  request.clear_filter();
  EXPECT_EQ(small.ListAuditEntries(world_.As("root"), request)->entries_size(), 1);
}

TEST_P(AuditRulesTest, BadRequestsNameTheField) {
  struct Case {
    std::string field;
    std::function<void(v1::ListAuditEntriesRequest&)> edit;
  };
  const Case cases[] = {
      {"parent", [](auto& r) { r.set_parent("orgs/acme/teams/eng"); }},
      {"parent", [](auto& r) { r.clear_parent(); }},
      {"page_size", [](auto& r) { r.set_page_size(-1); }},
      {"page_token", [](auto& r) { r.set_page_token("x"); }},
      {"filter.principal", [](auto& r) { r.mutable_filter()->set_principal("bob"); }},
      {"filter.principal", [](auto& r) { r.mutable_filter()->set_principal("orgs/acme"); }},
      {"filter.principal", [](auto& r) { r.mutable_filter()->set_principal("orgs/other/users/bob"); }},
      {"filter.method", [](auto& r) { r.mutable_filter()->set_method("a/b/c"); }},
      {"filter.method", [](auto& r) { r.mutable_filter()->set_method("/b"); }},
      {"filter.method", [](auto& r) { r.mutable_filter()->set_method("a b"); }},
      {"filter.method", [](auto& r) { r.mutable_filter()->set_method(std::string(129, 'a')); }},
      {"filter.resource", [](auto& r) { r.mutable_filter()->set_resource("orgs/other/credentials/A"); }},
      {"filter.resource", [](auto& r) { r.mutable_filter()->set_resource("orgs/acme/"); }},
      {"filter.resource", [](auto& r) { r.mutable_filter()->set_resource("orgs/acmeone"); }},
      {"filter.since", [](auto& r) { r.mutable_filter()->mutable_since()->set_nanos(-1); }},
      {"filter.until", [](auto& r) { r.mutable_filter()->mutable_until()->set_seconds(253402300800); }},
  };
  for (const Case& c : cases) {
    v1::ListAuditEntriesRequest request;
    request.set_parent("orgs/acme");
    c.edit(request);
    const auto response = rules_.ListAuditEntries(world_.As("root"), request);
    EXPECT_TRUE(absl::IsInvalidArgument(response.status())) << request.ShortDebugString();
    EXPECT_EQ(DetailOf(response.status()).field(), c.field) << request.ShortDebugString();
  }
}

TEST_P(AuditRulesTest, AWholeLogIsIntactAndContainsEveryHeadThatItHad) {
  std::vector<v1::AuditHead> heads;
  for (int i = 0; i < 5; ++i) {
    Log("S/M", "orgs/acme/users/bob");
    heads.push_back(Head());
  }
  for (const v1::AuditHead& head : heads) {
    const v1::VerifyAuditLogResponse response = Verify(head);
    EXPECT_TRUE(response.intact()) << response.ShortDebugString();
    EXPECT_EQ(response.entry_count(), 5);
    EXPECT_EQ(response.head().sequence(), 5);
    EXPECT_EQ(response.head().hash(), heads.back().hash());
  }
}

TEST_P(AuditRulesTest, AnExpectedHeadThatIsNotInTheLogIsFound) {
  LogMany(5);
  v1::AuditHead other = Head();
  other.set_sequence(3);
  EXPECT_EQ(Verify(other).broken_sequence(), 3);
  other.set_sequence(7);
  EXPECT_EQ(Verify(other).broken_sequence(), 6);
  EXPECT_FALSE(Verify(other).intact());
  // What a caller expects and the log does not have is no damage of the log.
  EXPECT_EQ(rules_.checks().done, 3u);
  EXPECT_EQ(rules_.checks().damaged, 0u);
  v1::VerifyAuditLogRequest request;
  request.set_parent("orgs/acme");
  request.mutable_expected()->set_sequence(3);
  request.mutable_expected()->set_hash("short");
  EXPECT_EQ(DetailOf(rules_.VerifyAuditLog(world_.As("root"), request).status()).field(), "expected.hash");
  request.mutable_expected()->set_sequence(-1);
  EXPECT_EQ(DetailOf(rules_.VerifyAuditLog(world_.As("root"), request).status()).field(), "expected.sequence");
}

TEST_P(AuditRulesTest, AnEmptyLogIsNotIntact) {
  const v1::VerifyAuditLogResponse response = Verify();
  EXPECT_FALSE(response.intact());
  EXPECT_EQ(response.broken_sequence(), 1);
}

TEST_P(AuditRulesTest, TamperingWithTheStoredLogIsFoundAndLocated) {
  LogMany(5);
  ASSERT_TRUE(world_.store->Sync().ok());
  const auto head = *storage::ReadJournalHead(*world_.store->View(), "acme");
  const v1::AuditHead noted = Head();
  // Edited: the entry reads differently.
  const storage::JournalBlock third = Block(3);
  storage::JournalBlock edited = third;
  edited.entries[0].payload[5] ^= 1;
  PutBlock(edited, 3);
  EXPECT_FALSE(Verify().intact());
  EXPECT_EQ(Verify().broken_sequence(), 4) << "the entry that does not follow";
  EXPECT_EQ(rules_.checks().damaged, 2u);
  EXPECT_EQ(rules_.checks().damaged_logs, 1u);
  PutBlock(third, 3);
  EXPECT_TRUE(Verify().intact());
  EXPECT_EQ(rules_.checks().done, 3u);
  EXPECT_EQ(rules_.checks().damaged_logs, 0u);
  // Deleted.
  DeleteBlock(3);
  EXPECT_EQ(Verify().broken_sequence(), 3);
  PutBlock(third, 3);
  // Reordered.
  const storage::JournalBlock fourth = Block(4);
  PutBlock(fourth, 3);
  PutBlock(third, 4);
  EXPECT_EQ(Verify().broken_sequence(), 3);
  PutBlock(third, 3);
  PutBlock(fourth, 4);
  // Cut off, head and all: only a head that was noted elsewhere tells.
  const storage::JournalBlock fifth = Block(5);
  DeleteBlock(5);
  EXPECT_EQ(Verify().broken_sequence(), 5);
  storage::JournalHead shorter = head;
  shorter.last_block = shorter.last_sequence = 4;
  shorter.hash = fourth.last_hash();
  PutHead(shorter);
  EXPECT_TRUE(Verify().intact());
  EXPECT_EQ(Verify(noted).broken_sequence(), 5);
  // Rewritten from an entry on, with a chain that holds in itself.
  storage::JournalBlock forged = fifth;
  forged.entries[0].payload[5] ^= 1;
  PutBlock(forged, 5);
  storage::JournalHead forged_head = head;
  forged_head.hash = Block(5).last_hash();
  PutHead(forged_head);
  EXPECT_TRUE(Verify().intact());
  EXPECT_EQ(Verify(noted).broken_sequence(), 5);
  // Gone.
  ASSERT_TRUE(storage::DeleteOne(*world_.store, storage::JournalHeadKey("acme")).ok());
  EXPECT_FALSE(Verify().intact());
  EXPECT_EQ(Verify().broken_sequence(), 1);
}

}  // namespace
}  // namespace keyferry::server
