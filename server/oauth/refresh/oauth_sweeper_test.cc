#include "server/oauth/refresh/oauth_sweeper.h"

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/oauth/refresh/revocations.h"
#include "server/oauth/refresh/testing_refresh.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

class Sweeps : public testing::Test {
 protected:
  std::unique_ptr<OauthSweeper> Sweeper() {
    options_.background = false;
    return std::make_unique<OauthSweeper>(
        world_.store.get(), &world_.client, [this] { return absl::Time(world_.now); },
        [this] { return absl::Time(world_.monotonic); }, /*logger=*/nullptr, options_);
  }

  void Pass(OauthSweeper& sweeper, absl::Duration by) {
    world_.now += by;
    world_.monotonic += by;
    sweeper.RunDue();
  }

  // Another organization.
  void PutOrg(const std::string& org) {
    ASSERT_TRUE(world_.store->CreateKeyring(org).ok());
    world_.PutOrg(org, v1::TIER_BUSINESS);
  }

  // Something of the organization's to be revoked.
  void Leave(const std::string& org, const std::string& refresh) {
    v1::OauthProvider definition;
    definition.set_name(org);
    definition.mutable_endpoints()->set_revocation_url("https://example.com/revoke");
    records::OauthProviderRecord provider;
    provider.set_definition(definition.SerializeAsString());
    records::ConnectionTokenRecord token;
    token.set_refresh_token(refresh);
    storage::Mutation mutation;
    AddRevocation(org, provider, records::ConnectionRecord(), token, world_.now, &mutation);
    ASSERT_TRUE(world_.store->Commit(mutation, storage::Durability::kSynced).ok());
  }

  // How many were sent since the last time, by organization.
  std::map<std::string, int> Sent() {
    std::map<std::string, int> sent;
    for (const std::string& one : world_.client.TakeRevocations()) ++sent[one.substr(0, one.find(':'))];
    return sent;
  }

  RefreshWorld world_;
  OauthSweeper::Options options_;
};

TEST_F(Sweeps, AnOrganizationWhoseProvidersHangKeepsNoOtherWaiting) {
  world_.client.on_revoke_hangs = [](const auto& call) { return call.provider == "acme"; };
  for (int i = 0; i < 100; ++i) Leave("acme", absl::StrCat("r", i));
  const auto sweeper = Sweeper();
  sweeper->RunDue();
  EXPECT_THAT(Sent(), ElementsAre(Pair("acme", 8)));
  EXPECT_EQ(sweeper->in_flight(), 8);
  PutOrg("beta");
  for (int i = 0; i < 100; ++i) Leave("beta", absl::StrCat("r", i));
  // All of it, since its own come back.
  Pass(*sweeper, absl::Seconds(10));
  EXPECT_THAT(Sent(), ElementsAre(Pair("beta", 100)));
  EXPECT_EQ(sweeper->in_flight(), 8);
}

TEST_F(Sweeps, MoreOrganizationsThanPlacesGetOneEach) {
  world_.client.on_revoke_hangs = [](const auto&) { return true; };
  constexpr int kOrgs = 24;
  for (int i = 0; i < kOrgs; ++i) {
    const std::string org = absl::StrCat("org", i);
    PutOrg(org);
    for (int one = 0; one < 3; ++one) Leave(org, absl::StrCat("r", one));
  }
  const auto sweeper = Sweeper();
  sweeper->RunDue();
  const auto first = Sent();
  EXPECT_EQ(first.size(), 16);
  for (const auto& [org, count] : first) EXPECT_EQ(count, 1) << org;
  Pass(*sweeper, absl::Seconds(10));
  EXPECT_THAT(Sent(), IsEmpty());
}

TEST_F(Sweeps, BeginsElsewhereEachTime) {
  options_.max_in_flight = 1;
  for (const char* org : {"b", "c", "d"}) PutOrg(org);
  for (const char* org : {"acme", "b", "c", "d"}) {
    for (int i = 0; i < 50; ++i) Leave(org, absl::StrCat("r", i));
  }
  const auto sweeper = Sweeper();
  std::vector<std::string> order;
  world_.client.on_revoke = [&](const ScriptedTokenClient::Call& call) {
    order.push_back(call.provider);
    return absl::OkStatus();
  };
  sweeper->RunDue();
  ASSERT_EQ(order.size(), 200);
  for (size_t i = 0; i + 4 <= 200; i += 4) {
    EXPECT_THAT(std::set<std::string>(order.begin() + i, order.begin() + i + 4), testing::SizeIs(4)) << i;
  }
}

TEST_F(Sweeps, ThoseThatWereTriedLeastComeFirst) {
  options_.max_in_flight = 1;
  world_.client.on_revoke_hangs = [](const auto&) { return true; };
  std::set<std::string> left;
  for (int i = 0; i < 30; ++i) {
    Leave("acme", absl::StrCat("r", i));
    left.insert(absl::StrCat("acme:r", i, "/"));
  }
  for (int i = 0; i < 30; ++i) {
    // Each server gets to one; and what was tried before is due again by then.
    const auto sweeper = Sweeper();
    Pass(*sweeper, absl::Minutes(5));
    for (const std::string& sent : world_.client.TakeRevocations()) EXPECT_EQ(left.erase(sent), 1) << sent;
  }
  EXPECT_THAT(left, IsEmpty());
}

TEST_F(Sweeps, NothingIsGivenUpUntried) {
  world_.client.on_revoke = [](const auto&) { return absl::UnavailableError("down"); };
  Leave("acme", "r1");
  // Nobody had time for it, or the clock jumped.
  world_.now += absl::Hours(48);
  const auto sweeper = Sweeper();
  size_t tries = 0;
  for (int minute = 0; minute < 60; ++minute) {
    Pass(*sweeper, absl::Minutes(1));
    tries += world_.client.TakeRevocations().size();
    if (tries < 5) {
      EXPECT_EQ(world_.Revocations(), "r1/");
    }
  }
  EXPECT_EQ(tries, 5);
  EXPECT_EQ(world_.Revocations(), "") << "given up";
}

TEST_F(Sweeps, WhatCannotBeReadKeepsNothingElseWaiting) {
  for (int i = 0; i < 20; ++i) {
    PutOrg(absl::StrCat("org", i));
    const storage::RecordKey key = {Table::kRevocation, absl::StrCat("org", i), "", "bad"};
    ASSERT_TRUE(storage::PutOne(*world_.store, key, "\xFF no record").ok());
  }
  Leave("acme", "r1");
  const auto sweeper = Sweeper();
  sweeper->RunDue();
  EXPECT_THAT(Sent(), ElementsAre(Pair("acme", 1)));
}

TEST_F(Sweeps, RevokesWhatWasDisconnectedOnce) {
  world_.Connect("users/ada", "a1", "r1");
  world_.Disconnect("users/ada");
  const auto sweeper = Sweeper();
  sweeper->RunDue();
  EXPECT_THAT(world_.client.TakeRevocations(), ElementsAre("github:r1/a1"));
  EXPECT_EQ(world_.Revocations(), "");
  Pass(*sweeper, absl::Hours(30));
  EXPECT_THAT(world_.client.TakeRevocations(), IsEmpty());
  // The definition goes along, so the provider may be deleted with its connections.
  world_.Connect("users/ada", "a2", "r2");
  world_.Disconnect("users/ada");
  ASSERT_TRUE(storage::DeleteOne(*world_.store, {Table::kOauthProvider, "acme", "", "github"}).ok());
  Pass(*sweeper, absl::Seconds(10));
  EXPECT_THAT(world_.client.TakeRevocations(), ElementsAre("github:r2/a2"));
}

TEST_F(Sweeps, NothingIsNotedForAProviderWithoutARevocationUrl) {
  world_.PutProvider("github", [](auto* p) { p->mutable_endpoints()->clear_revocation_url(); });
  world_.Connect("users/ada", "a1", "r1");
  world_.Disconnect("users/ada");
  EXPECT_EQ(world_.Revocations(), "");
}

TEST_F(Sweeps, TriesForADayWithBackoffAndAfterACrash) {
  world_.client.on_revoke = [](const auto&) { return absl::UnavailableError("down"); };
  world_.Connect("users/ada", "a1", "r1");
  world_.Disconnect("users/ada");
  auto sweeper = Sweeper();
  sweeper->RunDue();
  EXPECT_EQ(world_.client.TakeRevocations().size(), 1);
  Pass(*sweeper, absl::Seconds(50));
  EXPECT_THAT(world_.client.TakeRevocations(), IsEmpty());
  Pass(*sweeper, absl::Seconds(10));
  EXPECT_EQ(world_.client.TakeRevocations().size(), 1);
  sweeper.reset();
  world_.Crash();
  sweeper = Sweeper();
  size_t tries = 2;
  for (int minute = 1; minute < 24 * 60; ++minute) {
    Pass(*sweeper, absl::Minutes(1));
    tries += world_.client.TakeRevocations().size();
  }
  // After 1, 2, 4, ... 32 minutes, and then every hour.
  EXPECT_EQ(tries, 29);
  EXPECT_EQ(world_.Revocations(), "r1/a1");
  Pass(*sweeper, absl::Hours(2));
  EXPECT_EQ(world_.Revocations(), "") << "given up";
  EXPECT_THAT(world_.client.TakeRevocations(), IsEmpty());
}

TEST_F(Sweeps, ARefusalIsFinal) {
  world_.client.on_revoke = [](const auto&) { return absl::FailedPreconditionError("no"); };
  world_.Connect("users/ada", "a1", "r1");
  world_.Disconnect("users/ada");
  const auto sweeper = Sweeper();
  sweeper->RunDue();
  EXPECT_EQ(world_.Revocations(), "");
}

TEST_F(Sweeps, TwoServersShareTheWork) {
  for (const char* user : {"users/ada", "users/bob"}) {
    world_.Connect(user, "a", "r");
    world_.Disconnect(user);
  }
  const auto first = Sweeper();
  const auto second = Sweeper();
  // While the first has read and not yet claimed.
  world_.store->before_commit = [&](const storage::Mutation&) {
    world_.store->before_commit = nullptr;
    second->RunDue();
    return absl::OkStatus();
  };
  first->RunDue();
  EXPECT_EQ(world_.client.TakeRevocations().size(), 2);
  EXPECT_EQ(world_.Revocations(), "");
}

TEST_F(Sweeps, MoreThanThereArePlacesForFollowEachOther) {
  for (int i = 0; i < 50; ++i) {
    world_.Connect("users/ada", "a", absl::StrCat("r", i));
    world_.Disconnect("users/ada");
  }
  const auto sweeper = Sweeper();
  sweeper->RunDue();
  EXPECT_EQ(world_.client.TakeRevocations().size(), 50);
  EXPECT_EQ(world_.Revocations(), "");
}

TEST_F(Sweeps, AttemptsAreForgottenAnHourAfterTheirEnd) {
  records::ConnectionAttemptRecord attempt;
  attempt.set_parent("users/ada");
  attempt.set_id("attempt");
  attempt.set_start_hash("start hash");
  attempt.set_state_hash("state hash");
  attempt.set_expire_time(absl::ToUnixNanos(absl::Time(world_.now) + absl::Minutes(10)));
  const storage::RecordKey key = {Table::kConnectionAttempt, "acme", "users/ada", "attempt"};
  storage::Mutation mutation;
  mutation.Put(key, storage::SerializeSecret(attempt), 1, 0);
  std::vector<storage::RecordKey> keys = {key};
  for (const char* hash : {"start hash", "state hash"}) {
    keys.push_back({Table::kConnectionAttemptIndex, "", "", absl::BytesToHexString(hash)});
    mutation.Put(keys.back(), storage::SerializeSecret(records::ConnectionAttemptIndexRecord()), 1, 0);
  }
  ASSERT_TRUE(world_.store->Commit(mutation, storage::Durability::kSynced).ok());
  const auto sweeper = Sweeper();
  Pass(*sweeper, absl::Minutes(69));
  for (const auto& k : keys) EXPECT_NE(storage::ReadOne(*world_.store, k), "(absent)");
  Pass(*sweeper, absl::Minutes(1));
  for (const auto& k : keys) EXPECT_EQ(storage::ReadOne(*world_.store, k), "(absent)");
}

}  // namespace
}  // namespace keyferry::server
