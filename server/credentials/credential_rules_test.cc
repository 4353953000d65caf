#include "server/credentials/credential_rules.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/credentials/previous_sweeper.h"
#include "server/credentials/testing_world.h"
#include "server/errors.h"

namespace keyferry::server {
namespace {

using storage::EngineKind;
using storage::Table;

constexpr char kOrgToken[] = "orgs/acme/credentials/TOKEN";

class CredentialRulesTest : public testing::TestWithParam<EngineKind> {
 protected:
  absl::StatusOr<v1::Credential> Rotate(const Caller& caller, const std::string& name, const std::string& value,
                                        absl::Duration grace = absl::Hours(24), const std::string& etag = "") {
    v1::RotateCredentialRequest request;
    request.set_name(name);
    request.set_value(value);
    request.set_etag(etag);
    request.mutable_grace()->set_seconds(absl::ToInt64Seconds(grace));
    return world_.credentials->RotateCredential(caller, request);
  }
  absl::StatusOr<v1::Credential> Rollback(const Caller& caller, const std::string& name) {
    v1::RollbackCredentialRequest request;
    request.set_name(name);
    return world_.credentials->RollbackCredential(caller, request);
  }
  absl::Status Delete(const Caller& caller, const std::string& name, const std::string& etag = "") {
    v1::DeleteCredentialRequest request;
    request.set_name(name);
    request.set_etag(etag);
    return world_.credentials->DeleteCredential(caller, request).status();
  }
  v1::Credential MustGet(const std::string& name) {
    auto got = world_.Get(world_.As("root"), name);
    EXPECT_TRUE(got.ok()) << got.status();
    return got.ok() ? *got : v1::Credential();
  }

  World world_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Engines, CredentialRulesTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return storage::EngineName(info.param); });

TEST_P(CredentialRulesTest, ShowsMetadataAndNeverAValue) {
  const v1::Credential created = world_.Create(world_.As("root"), "orgs/acme", "TOKEN", "s3cret-value");
  EXPECT_EQ(created.name(), kOrgToken);
  EXPECT_EQ(created.scope(), v1::CREDENTIAL_SCOPE_ORG);
  EXPECT_EQ(created.source(), v1::CREDENTIAL_SOURCE_MANUAL);
  EXPECT_EQ(created.status(), v1::CREDENTIAL_STATUS_ACTIVE);
  EXPECT_EQ(created.version(), 1);
  EXPECT_EQ(created.creator(), "orgs/acme/users/root");
  EXPECT_FALSE(created.etag().empty());
  EXPECT_FALSE(created.has_last_use_time());
  EXPECT_EQ(created.create_time().seconds(), absl::ToUnixSeconds(world_.now));
  EXPECT_EQ(MustGet(kOrgToken).SerializeAsString(), created.SerializeAsString());
  EXPECT_EQ(created.SerializeAsString().find("s3cret"), std::string::npos);
  EXPECT_EQ(world_.Value("", "TOKEN"), "v1:s3cret-value");
  world_.Restart();
  EXPECT_EQ(MustGet(kOrgToken).SerializeAsString(), created.SerializeAsString());
}

TEST_P(CredentialRulesTest, ANameIsTakenOncePerParent) {
  world_.Create(world_.As("root"), "orgs/acme", "TOKEN", "one");
  world_.Create(world_.As("ada"), "orgs/acme/teams/eng", "TOKEN", "two");
  world_.Create(world_.As("ada"), "orgs/acme/users/ada", "TOKEN", "three");
  v1::CreateCredentialRequest request;
  request.set_parent("orgs/acme");
  request.set_credential_id("TOKEN");
  request.set_value("four");
  EXPECT_TRUE(absl::IsAlreadyExists(world_.credentials->CreateCredential(world_.As("root"), request).status()));
  EXPECT_EQ(world_.Value("", "TOKEN"), "v1:one");
  EXPECT_EQ(world_.Value("teams/eng", "TOKEN"), "v1:two");
  EXPECT_EQ(world_.Value("users/ada", "TOKEN"), "v1:three");
}

TEST_P(CredentialRulesTest, RotationKeepsThePreviousVersionForTheGrace) {
  const Caller root = world_.As("root");
  const std::string etag = world_.Create(root, "orgs/acme", "TOKEN", "one").etag();
  auto rotated = Rotate(root, kOrgToken, "two", absl::Hours(1));
  ASSERT_TRUE(rotated.ok()) << rotated.status();
  EXPECT_EQ(rotated->version(), 2);
  EXPECT_NE(rotated->etag(), etag);
  EXPECT_EQ(rotated->previous_version(), 1);
  EXPECT_EQ(rotated->previous_version_destroy_time().seconds(), absl::ToUnixSeconds(world_.now) + 3600);
  EXPECT_EQ(world_.Value("", "TOKEN"), "v2:two");
  EXPECT_EQ(world_.Value("", "TOKEN", Table::kPreviousValue), "v1:one");

  auto back = Rollback(root, kOrgToken);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->version(), 3);
  EXPECT_EQ(back->previous_version(), 2);
  EXPECT_EQ(world_.Value("", "TOKEN"), "v3:one");
  EXPECT_EQ(world_.Value("", "TOKEN", Table::kPreviousValue), "v2:two");
}

TEST_P(CredentialRulesTest, GraceOfZeroDestroysThePreviousVersionNow) {
  const Caller root = world_.As("root");
  world_.Create(root, "orgs/acme", "TOKEN", "one");
  ASSERT_TRUE(Rotate(root, kOrgToken, "two", absl::Hours(1)).ok());
  auto rotated = Rotate(root, kOrgToken, "three", absl::ZeroDuration());
  ASSERT_TRUE(rotated.ok());
  EXPECT_EQ(rotated->previous_version(), 0);
  EXPECT_EQ(world_.Value("", "TOKEN", Table::kPreviousValue), "(absent)");
  EXPECT_EQ(DetailOf(Rollback(root, kOrgToken).status()).reason(), "NO_PREVIOUS_VERSION");
}

TEST_P(CredentialRulesTest, AfterTheGraceThePreviousVersionIsGoneAlsoAcrossARestart) {
  const Caller root = world_.As("root");
  world_.Create(root, "orgs/acme", "TOKEN", "one");
  world_.Create(root, "orgs/acme", "LATER", "one");
  ASSERT_TRUE(Rotate(root, kOrgToken, "two", absl::Minutes(10)).ok());
  ASSERT_TRUE(Rotate(root, "orgs/acme/credentials/LATER", "two", absl::Minutes(30)).ok());
  const std::string etag = MustGet(kOrgToken).etag();
  EXPECT_EQ(*PreviousSweeper(world_.store.get(), world_.clock()).RunOnce(), 0);

  world_.now += absl::Minutes(10);
  EXPECT_EQ(DetailOf(Rollback(root, kOrgToken).status()).reason(), "NO_PREVIOUS_VERSION") << "not swept yet";
  EXPECT_EQ(MustGet(kOrgToken).previous_version(), 0);
  world_.Restart();
  PreviousSweeper sweeper(world_.store.get(), world_.clock());
  EXPECT_EQ(*sweeper.RunOnce(), 1);
  EXPECT_EQ(world_.Value("", "TOKEN", Table::kPreviousValue), "(absent)");
  EXPECT_EQ(world_.Value("", "LATER", Table::kPreviousValue), "v1:one");
  EXPECT_EQ(MustGet(kOrgToken).etag(), etag);
  EXPECT_EQ(*sweeper.RunOnce(), 0);
  world_.now += absl::Minutes(20);
  EXPECT_EQ(*sweeper.RunOnce(), 1);
  EXPECT_EQ(*sweeper.RunOnce(), 0);
  ASSERT_TRUE(Rotate(root, kOrgToken, "three", absl::Seconds(1)).ok());
  world_.now += absl::Seconds(1);
  EXPECT_EQ(*sweeper.RunOnce(), 1);
}

TEST_P(CredentialRulesTest, DeleteRemovesEverythingAndANewOneStartsAnew) {
  const Caller root = world_.As("root");
  const std::string old_etag = world_.Create(root, "orgs/acme", "TOKEN", "one").etag();
  ASSERT_TRUE(Rotate(root, kOrgToken, "two").ok());
  ASSERT_TRUE(world_.usage
                  ->RecordNow({"acme", "orgs/acme/mcpServers/m", root.Name(), "", "", {{"", "TOKEN", 2}}},
                              "ResolutionService/Resolve")
                  .ok());
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  ASSERT_TRUE(MustGet(kOrgToken).has_last_use_time());
  ASSERT_TRUE(Delete(root, kOrgToken).ok());
  for (Table table : {Table::kCredential, Table::kCredentialValue, Table::kPreviousValue, Table::kCredentialUsage}) {
    EXPECT_FALSE(*world_.store->View()->Contains({table, "acme", "", "TOKEN"})) << static_cast<int>(table);
  }
  EXPECT_TRUE(absl::IsNotFound(world_.Get(root, kOrgToken).status()));
  EXPECT_TRUE(absl::IsNotFound(Delete(root, kOrgToken)));
  const v1::Credential anew = world_.Create(root, "orgs/acme", "TOKEN", "three");
  EXPECT_NE(anew.etag(), old_etag);
  EXPECT_TRUE(absl::IsAborted(Delete(root, kOrgToken, old_etag)));
}

TEST_P(CredentialRulesTest, UpdateChangesWhatTheMaskNames) {
  const Caller root = world_.As("root");
  world_.Create(root, "orgs/acme", "TOKEN", "one");
  v1::UpdateCredentialRequest request;
  request.mutable_credential()->set_name(kOrgToken);
  request.mutable_credential()->set_description("for CI");
  request.mutable_credential()->mutable_rotate_by()->set_seconds(1900000000);
  request.mutable_update_mask()->add_paths("description");
  auto updated = world_.credentials->UpdateCredential(root, request);
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->description(), "for CI");
  EXPECT_FALSE(updated->has_rotate_by());
  EXPECT_EQ(updated->version(), 1);

  request.mutable_update_mask()->Clear();
  request.mutable_credential()->clear_description();
  updated = world_.credentials->UpdateCredential(root, request);
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->description(), "for CI");
  EXPECT_EQ(updated->rotate_by().seconds(), 1900000000);

  request.mutable_update_mask()->add_paths("description");
  request.mutable_update_mask()->add_paths("rotate_by");
  request.mutable_credential()->clear_rotate_by();
  updated = world_.credentials->UpdateCredential(root, request);
  ASSERT_TRUE(updated.ok());
  EXPECT_EQ(updated->description(), "");
  EXPECT_FALSE(updated->has_rotate_by());
}

TEST_P(CredentialRulesTest, ARotationSetsKeepsOrRemovesTheReminder) {
  const Caller root = world_.As("root");
  world_.Create(root, "orgs/acme", "TOKEN", "one");
  v1::RotateCredentialRequest request;
  request.set_name(kOrgToken);
  request.set_value("two");
  request.mutable_rotate_by()->set_seconds(1900000000);
  auto rotated = world_.credentials->RotateCredential(root, request);
  ASSERT_TRUE(rotated.ok()) << rotated.status();
  EXPECT_EQ(rotated->rotate_by().seconds(), 1900000000);
  EXPECT_EQ(rotated->version(), 2);
  request.clear_rotate_by();
  request.set_etag("stale");
  request.set_remove_rotate_by(true);
  EXPECT_TRUE(absl::IsAborted(world_.credentials->RotateCredential(root, request).status()));
  EXPECT_EQ(Rotate(root, kOrgToken, "three")->rotate_by().seconds(), 1900000000) << "neither changed by the refused";
  request.clear_etag();
  rotated = world_.credentials->RotateCredential(root, request);
  ASSERT_TRUE(rotated.ok()) << rotated.status();
  EXPECT_FALSE(rotated->has_rotate_by());
  EXPECT_EQ(rotated->version(), 4);

  // Of many in one call.
  v1::BatchRotateCredentialsRequest batch;
  batch.set_parent("orgs/acme");
  *batch.add_requests() = request;
  batch.mutable_requests(0)->clear_remove_rotate_by();
  batch.mutable_requests(0)->mutable_rotate_by()->set_seconds(1900000001);
  const auto many = world_.credentials->BatchRotateCredentials(root, batch);
  ASSERT_TRUE(many.ok()) << many.status();
  EXPECT_EQ(many->credentials(0).rotate_by().seconds(), 1900000001);
}

TEST_P(CredentialRulesTest, StaleEtagsAbortAndChangeNothing) {
  const Caller root = world_.As("root");
  const std::string stale = world_.Create(root, "orgs/acme", "TOKEN", "one").etag();
  auto rotated = Rotate(root, kOrgToken, "two", absl::Hours(1), stale);
  ASSERT_TRUE(rotated.ok()) << rotated.status();
  const auto before = world_.Revision();
  EXPECT_EQ(DetailOf(Rotate(root, kOrgToken, "three", absl::Hours(1), stale).status()).reason(), "STALE_ETAG");
  EXPECT_EQ(DetailOf(Delete(root, kOrgToken, stale)).reason(), "STALE_ETAG");
  v1::UpdateCredentialRequest update;
  update.mutable_credential()->set_name(kOrgToken);
  update.mutable_credential()->set_etag(stale);
  update.mutable_credential()->set_description("d");
  EXPECT_TRUE(absl::IsAborted(world_.credentials->UpdateCredential(root, update).status()));
  v1::RollbackCredentialRequest rollback;
  rollback.set_name(kOrgToken);
  rollback.set_etag(stale);
  EXPECT_TRUE(absl::IsAborted(world_.credentials->RollbackCredential(root, rollback).status()));
  EXPECT_EQ(world_.Revision(), before);
  ASSERT_TRUE(world_.store->RotateDataKey("acme").ok());
  ASSERT_TRUE(world_.store->WaitForPurge(absl::Seconds(30)).ok());
  EXPECT_EQ(MustGet(kOrgToken).etag(), rotated->etag()) << "etags outlive data keys";
  EXPECT_TRUE(Delete(root, kOrgToken, rotated->etag()).ok());
}

TEST_P(CredentialRulesTest, ConcurrentRotationsAllCountWithoutEtagAndOneWinsWithIt) {
  const Caller root = world_.As("root");
  const std::string etag = world_.Create(root, "orgs/acme", "TOKEN", "one").etag();
  constexpr int kThreads = 8;
  for (const bool with_etag : {true, false}) {
    std::atomic<int> won{0}, aborted{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] {
        auto rotated = Rotate(root, kOrgToken, absl::StrCat("value", i), absl::Hours(1), with_etag ? etag : "");
        if (rotated.ok()) ++won;
        if (DetailOf(rotated.status()).reason() == "STALE_ETAG") ++aborted;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(won, with_etag ? 1 : kThreads);
    EXPECT_EQ(aborted, with_etag ? kThreads - 1 : 0);
  }
  EXPECT_EQ(MustGet(kOrgToken).version(), 2 + kThreads);
}

TEST_P(CredentialRulesTest, ListsInOrderOfNamePageByPage) {
  const Caller root = world_.As("root");
  for (const char* id : {"C", "A", "E", "B", "D"}) world_.Create(root, "orgs/acme", id, "v");
  v1::ListCredentialsRequest request;
  request.set_parent("orgs/acme");
  request.set_page_size(2);
  std::string names;
  for (int pages = 0; pages < 3; ++pages) {
    auto page = world_.credentials->ListCredentials(root, request);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const auto& one : page->credentials()) absl::StrAppend(&names, one.name().substr(22), " ");
    request.set_page_token(page->next_page_token());
    EXPECT_EQ(page->next_page_token().empty(), pages == 2);
    if (pages == 0) {
      v1::ListCredentialsRequest other = request;
      other.set_parent("orgs/acme/users/root");
      EXPECT_EQ(DetailOf(world_.credentials->ListCredentials(root, other).status()).field(), "page_token");
      EXPECT_EQ(DetailOf(world_.credentials->ListCredentials(world_.As("bob"), request).status()).field(),
                "page_token");
    }
  }
  EXPECT_EQ(names, "A B C D E ");
}

TEST_P(CredentialRulesTest, ALowerTierSuspendsTeamsAndDeletesNothing) {
  world_.Create(world_.As("ada"), "orgs/acme/teams/eng", "TOKEN", "one");
  world_.Create(world_.As("ada"), "orgs/acme/teams/default", "TOKEN", "one");
  const struct {
    v1::Tier tier;
    const char* team;
    bool suspended;
  } kCases[] = {{v1::TIER_FREE, "eng", true},
                {v1::TIER_FREE, "default", true},
                {v1::TIER_TEAM, "eng", true},
                {v1::TIER_TEAM, "default", false},
                {v1::TIER_ENTERPRISE, "eng", false}};
  for (const auto& c : kCases) {
    SCOPED_TRACE(absl::StrCat(v1::Tier_Name(c.tier), " ", c.team));
    world_.tier = c.tier;
    const Caller ada = world_.As("ada");
    const std::string parent = absl::StrCat("orgs/acme/teams/", c.team);
    const std::string name = parent + "/credentials/TOKEN";
    EXPECT_EQ(world_.Get(ada, name)->status(),
              c.suspended ? v1::CREDENTIAL_STATUS_SUSPENDED : v1::CREDENTIAL_STATUS_ACTIVE);
    const auto before = world_.Revision();
    EXPECT_EQ(DetailOf(Rotate(ada, name, "two").status()).reason(), c.suspended ? "SCOPE_SUSPENDED" : "");
    EXPECT_EQ(world_.Revision() == before, c.suspended);
    v1::CreateCredentialRequest create;
    create.set_parent(parent);
    create.set_credential_id("NEW");
    create.set_value("v");
    const bool created = world_.credentials->CreateCredential(ada, create).ok();
    EXPECT_EQ(created, !c.suspended);
  }
  world_.tier = v1::TIER_FREE;
  EXPECT_TRUE(Delete(world_.As("ada"), "orgs/acme/teams/eng/credentials/TOKEN").ok());
}

}  // namespace
}  // namespace keyferry::server
