#include "server/identity/external/key_source.h"

#include <gtest/gtest.h>

#include <atomic>

#include "absl/synchronization/notification.h"
#include "server/identity/external/testing_identity.h"
#include "server/identity/jwt/testing_jwt.h"

namespace keyferry::server {
namespace {

class KeySourceTest : public ::testing::Test {
 protected:
  KeySourceTest() : key_(JwtAlgorithm::kEdDsa, "a"), keys_(TestJwks(key_.Jwk())) {}

  std::unique_ptr<KeySource> Make() {
    return std::make_unique<KeySource>(
        "cluster", keys_.MakeReader(), [this] { return absl::FromUnixSeconds(now_); }, &log_, KeySource::Options());
  }

  std::atomic<int64_t> now_{1700000000};
  KeptLog log_;
  TestJwtKey key_;
  FakeKeys keys_;
};

TEST_F(KeySourceTest, HasTheKeysThatWereReadLast) {
  const auto source = Make();
  AwaitRead(source.get());
  ASSERT_NE(source->keys(), nullptr);
  EXPECT_NE(source->keys()->Find(JwtAlgorithm::kEdDsa, "a"), nullptr);
  keys_.Set(TestJwks(TestJwtKey(JwtAlgorithm::kEdDsa, "b").Jwk()));
  now_ += 11;
  AwaitRead(source.get());
  EXPECT_EQ(source->keys()->Find(JwtAlgorithm::kEdDsa, "a"), nullptr);
  EXPECT_NE(source->keys()->Find(JwtAlgorithm::kEdDsa, "b"), nullptr);
}

TEST_F(KeySourceTest, WhatCannotBeReadReplacesNothingUntilTheLastKeysAreTooOld) {
  const auto source = Make();
  AwaitRead(source.get());
  now_ += 11;
  for (const absl::StatusOr<std::string>& bad :
       {absl::StatusOr<std::string>(absl::UnavailableError("no route")), absl::StatusOr<std::string>("{}")}) {
    keys_.Set(bad);
    AwaitRead(source.get());
    EXPECT_NE(source->keys(), nullptr);
    now_ += 11;
  }
  EXPECT_NE(log_.Take().find("no route"), std::string::npos);
  now_ += 24 * 3600 - 33;
  EXPECT_NE(source->keys(), nullptr);
  now_ += 1;
  EXPECT_EQ(source->keys(), nullptr);
  // A clock that is set back does not make them young again.
  now_ -= 26 * 3600;
  EXPECT_EQ(source->keys(), nullptr);
}

TEST_F(KeySourceTest, IsMadeToReadOnceInAnInterval) {
  const auto source = Make();
  // The first reading is the source's own; whoever asks while it has not begun waits for it.
  AwaitRead(source.get());
  now_ += 10;
  AwaitRead(source.get());
  const int reads = keys_.reads();
  for (int i = 0; i < 100; ++i) EXPECT_EQ(source->TryRead(), nullptr);
  EXPECT_EQ(keys_.reads(), reads);
  now_ += 10;
  AwaitRead(source.get());
  EXPECT_EQ(keys_.reads(), reads + 1);
  // A clock that goes back blocks nobody.
  now_ -= 3600;
  AwaitRead(source.get());
  EXPECT_EQ(keys_.reads(), reads + 2);
}

TEST_F(KeySourceTest, ReadsNoMoreOnceItIsStopped) {
  const auto source = Make();
  AwaitRead(source.get());
  now_ += 11;
  source->Stop();
  EXPECT_EQ(source->TryRead(), nullptr);
  EXPECT_NE(source->keys(), nullptr) << "whoever still has it, has its keys";
}

TEST_F(KeySourceTest, WhoWaitsForAReadingIsToldOfTheEnd) {
  keys_.Block();
  auto source = Make();
  const std::shared_ptr<OneShot> reading = source->TryRead();
  ASSERT_NE(reading, nullptr);
  absl::Notification ended;
  reading->WhenFired([&ended] { ended.Notify(); });
  source.reset();
  EXPECT_TRUE(ended.HasBeenNotified());
}

}  // namespace
}  // namespace keyferry::server
