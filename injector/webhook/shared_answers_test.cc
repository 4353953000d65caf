#include "injector/webhook/shared_answers.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::injector::webhook {
namespace {

using Answers = SharedAnswers<std::string>;

class SharedAnswersTest : public testing::Test {
 protected:
  // Asks, and keeps what settles the question if it was begun.
  std::shared_ptr<const Answers::Question> Ask(const std::string& key) {
    return answers_.Ask(key, [&](Answers::Settle settle) { begun_.push_back(std::move(settle)); });
  }

  absl::Time now_ = absl::FromUnixSeconds(1000);
  std::vector<Answers::Settle> begun_;
  Answers answers_{{absl::Seconds(10), absl::Seconds(2)}, [this] { return now_; }};
};

TEST_F(SharedAnswersTest, WhatIsUnderWayIsNotAskedAgain) {
  const auto first = Ask("a");
  const auto second = Ask("a");
  Ask("b");
  ASSERT_EQ(begun_.size(), 2u);
  EXPECT_TRUE(absl::IsDeadlineExceeded(second->Await(absl::Now()).status()));
  std::thread other([&] { begun_[0]("answer"); });
  EXPECT_EQ(*first->Await(absl::InfiniteFuture()), "answer");
  EXPECT_EQ(*second->Await(absl::InfiniteFuture()), "answer");
  other.join();
}

TEST_F(SharedAnswersTest, AnAnswerHoldsForAWhile) {
  Ask("a");
  begun_[0]("answer");
  now_ += absl::Seconds(10) - absl::Nanoseconds(1);
  EXPECT_EQ(*Ask("a")->Await(absl::Now()), "answer");
  EXPECT_EQ(begun_.size(), 1u);
  now_ += absl::Nanoseconds(1);
  EXPECT_FALSE(Ask("a")->Await(absl::Now()).ok());
  EXPECT_EQ(begun_.size(), 2u);
}

TEST_F(SharedAnswersTest, AFailureHoldsForLess) {
  Ask("a");
  now_ += absl::Seconds(60);
  begun_[0](absl::NotFoundError("none"));
  now_ += absl::Seconds(2) - absl::Nanoseconds(1);
  EXPECT_TRUE(absl::IsNotFound(Ask("a")->Await(absl::Now()).status()));
  now_ += absl::Nanoseconds(1);
  Ask("a");
  EXPECT_EQ(begun_.size(), 2u);
}

// One that is settled at once, or after all others are gone, hurts nobody.
TEST_F(SharedAnswersTest, SettlesAtAnyTime) {
  const auto at_once = answers_.Ask("a", [](const Answers::Settle& settle) { settle("now"); });
  EXPECT_EQ(*at_once->Await(absl::Now()), "now");
  Answers::Settle late;
  {
    Answers gone({absl::Seconds(1), absl::Seconds(1)}, absl::Now);
    gone.Ask("a", [&](Answers::Settle settle) { late = std::move(settle); });
  }
  late("nobody asks any more");
}

TEST_F(SharedAnswersTest, RemembersSoMuchOnly) {
  const auto waiting = Ask("waiting");
  for (int i = 0; i < 5000; ++i) answers_.Ask(absl::StrCat(i), [](const Answers::Settle& settle) { settle("x"); });
  // One that is under way is never forgotten; answers are.
  EXPECT_EQ(Ask("waiting"), waiting);
  ASSERT_EQ(begun_.size(), 1u);
  Ask("0");
  EXPECT_EQ(begun_.size(), 2u);
  Ask("4999");
  EXPECT_EQ(begun_.size(), 2u);
}

}  // namespace
}  // namespace keyferry::injector::webhook
