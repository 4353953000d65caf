#include "server/oauth/refresh/oauth_sweeper.h"

#include <memory>
#include <string>

#include "absl/strings/escaping.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/oauth/refresh/testing_refresh.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;
using testing::ElementsAre;
using testing::IsEmpty;

class Sweeps : public testing::Test {
 protected:
  std::unique_ptr<OauthSweeper> Sweeper() {
    OauthSweeper::Options options;
    options.background = false;
    return std::make_unique<OauthSweeper>(
        world_.store.get(), &world_.client, [this] { return absl::Time(world_.now); },
        [this] { return absl::Time(world_.monotonic); }, /*logger=*/nullptr, options);
  }

  void Pass(OauthSweeper& sweeper, absl::Duration by) {
    world_.now += by;
    world_.monotonic += by;
    sweeper.RunDue();
  }

  RefreshWorld world_;
};

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
