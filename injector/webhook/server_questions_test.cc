#include "injector/webhook/server_questions.h"

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::injector::webhook {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Holds each call until the test answers it.
class HeldCalls : public ServerCalls {
 public:
  void Define(const std::string& mcp_server, DefinitionDone done) override {
    absl::MutexLock lock(&mutex_);
    definitions_.push_back({mcp_server, std::move(done)});
  }
  void Explain(const std::string& mcp_server, const std::string& team, ExplanationDone done) override {
    absl::MutexLock lock(&mutex_);
    explanations_.push_back({mcp_server + " " + team, std::move(done)});
  }

  // Waits for that many calls and takes them.
  std::vector<std::pair<std::string, DefinitionDone>> Definitions(size_t count) {
    return Take(&HeldCalls::definitions_, count);
  }
  std::vector<std::pair<std::string, ExplanationDone>> Explanations(size_t count) {
    return Take(&HeldCalls::explanations_, count);
  }

 private:
  // Gives up after a while, so that calls that never come are a failure.
  template <typename Call>
  std::vector<Call> Take(std::vector<Call> HeldCalls::*calls, size_t count) {
    absl::MutexLock lock(&mutex_);
    const auto enough = [&] { return (this->*calls).size() >= count; };
    mutex_.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(30));
    return std::exchange(this->*calls, {});
  }

  absl::Mutex mutex_;
  std::vector<std::pair<std::string, DefinitionDone>> definitions_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::pair<std::string, ExplanationDone>> explanations_ ABSL_GUARDED_BY(mutex_);
};

template <typename Call>
std::vector<std::string> NamesOf(const std::vector<Call>& calls) {
  std::vector<std::string> names;
  for (const auto& [name, done] : calls) names.push_back(name);
  return names;
}

class ServerQuestionsTest : public testing::Test {
 protected:
  ServerQuestionsTest() {
    auto calls = std::make_unique<HeldCalls>();
    calls_ = calls.get();
    questions_ = std::make_unique<ServerQuestions>(std::move(calls), "acme", [this] {
      absl::MutexLock lock(&mutex_);
      return now_;
    });
  }

  void Advance(absl::Duration by) {
    absl::MutexLock lock(&mutex_);
    now_ += by;
  }

  // Asks on a thread of its own, which WhatCame waits for.
  void Define(std::vector<AskedServer> servers) {
    asking_.emplace_back([this, servers = std::move(servers)] {
      auto answers = questions_->Define(servers, absl::InfiniteFuture());
      absl::MutexLock lock(&mutex_);
      for (auto& answer : answers) came_.push_back(answer.ok() ? answer->command : answer.status().ToString());
    });
  }
  std::vector<std::string> WhatCame() {
    for (std::thread& thread : asking_) thread.join();
    asking_.clear();
    absl::MutexLock lock(&mutex_);
    return std::exchange(came_, {});
  }

  HeldCalls* calls_ = nullptr;
  absl::Mutex mutex_;
  absl::Time now_ ABSL_GUARDED_BY(mutex_) = absl::FromUnixSeconds(1000);
  std::unique_ptr<ServerQuestions> questions_;
  std::vector<std::thread> asking_;
  std::vector<std::string> came_ ABSL_GUARDED_BY(mutex_);
};

// With one question after the other the second call would come only when the first is answered: never, here.
TEST_F(ServerQuestionsTest, TheQuestionsOfAReviewAreAskedAtOnce) {
  Define({{"a", ""}, {"b", "eng"}, {"orgs/other/mcpServers/c", ""}});
  const auto calls = calls_->Definitions(4);
  EXPECT_THAT(NamesOf(calls), ElementsAre("orgs/acme/mcpServers/a", "orgs/acme/teams/eng/mcpServers/b",
                                          "orgs/acme/mcpServers/b", "orgs/other/mcpServers/c"));
  calls[3].second(LaunchDefinition{"c", {}});
  calls[2].second(LaunchDefinition{"org's", {}});
  calls[1].second(absl::NotFoundError("none"));
  calls[0].second(absl::PermissionDeniedError("no right"));
  EXPECT_THAT(WhatCame(), ElementsAre("PERMISSION_DENIED: no right", "org's", "c"));
}

TEST_F(ServerQuestionsTest, ATeamsMcpServerComesFirst) {
  Define({{"b", "eng"}});
  const auto calls = calls_->Definitions(2);
  calls[1].second(LaunchDefinition{"org's", {}});
  calls[0].second(absl::PermissionDeniedError("no right"));
  // Not the organization's, where it is unknown whether the team has one.
  EXPECT_THAT(WhatCame(), ElementsAre("PERMISSION_DENIED: no right"));
}

TEST_F(ServerQuestionsTest, ReviewsShareAQuestion) {
  for (int i = 0; i < 5; ++i) Define({{"a", ""}, {"a", ""}});
  const auto calls = calls_->Definitions(1);
  ASSERT_EQ(calls.size(), 1u);
  calls[0].second(LaunchDefinition{"npx", {}});
  EXPECT_THAT(WhatCame(), testing::AllOf(testing::SizeIs(10), testing::Each("npx")));
  EXPECT_THAT(calls_->Definitions(0), IsEmpty());
}

TEST_F(ServerQuestionsTest, OneDeadlineForAll) {
  const auto answers = questions_->Define({{"a", ""}, {"b", ""}}, absl::Now());
  ASSERT_EQ(answers.size(), 2u);
  for (const auto& answer : answers) EXPECT_TRUE(absl::IsDeadlineExceeded(answer.status())) << answer.status();
  EXPECT_THAT(questions_->Check({ChosenContainer{"x", "a"}}, absl::Now()),
              ElementsAre(HasSubstr("container x: its bindings could not be checked: ")));
}

TEST_F(ServerQuestionsTest, AServerThatDoesNotAnswerIsLeftAloneForAWhile) {
  for (const absl::Status& dead : {absl::UnavailableError("gone"), absl::DeadlineExceededError("slow")}) {
    Define({{"a", ""}});
    calls_->Definitions(1)[0].second(dead);
    EXPECT_THAT(WhatCame(), ElementsAre(dead.ToString()));
    // Other questions are not asked either, and answered all the same.
    Define({{"b", ""}, {"a", ""}});
    EXPECT_THAT(WhatCame(), ElementsAre(dead.ToString(), dead.ToString()));
    EXPECT_THAT(questions_->Check({ChosenContainer{"x", "a"}}, absl::Now()),
                ElementsAre("container x: its bindings could not be checked: " + std::string(dead.message())));
    EXPECT_THAT(calls_->Definitions(0), IsEmpty());
    EXPECT_THAT(calls_->Explanations(0), IsEmpty());
    Advance(absl::Seconds(3));
    Define({{"b", ""}});
    calls_->Definitions(1)[0].second(LaunchDefinition{"npx", {}});
    EXPECT_THAT(WhatCame(), ElementsAre("npx"));
    Advance(absl::Seconds(10));
  }
}

TEST_F(ServerQuestionsTest, ARefusalSaysNothingOfOtherQuestions) {
  Define({{"a", ""}});
  calls_->Definitions(1)[0].second(absl::PermissionDeniedError("no right"));
  EXPECT_THAT(WhatCame(), ElementsAre("PERMISSION_DENIED: no right"));
  Define({{"b", ""}});
  calls_->Definitions(1)[0].second(LaunchDefinition{"npx", {}});
  EXPECT_THAT(WhatCame(), ElementsAre("npx"));
}

TEST_F(ServerQuestionsTest, BindingsAreCheckedAnewEachTime) {
  for (const char* const line : {"X would have no value: set it", ""}) {
    std::vector<std::string> lines;
    std::thread asking([&] {
      lines = questions_->Check({ChosenContainer{"x", "a", "eng"}, ChosenContainer{"y", "b"}}, absl::InfiniteFuture());
    });
    auto calls = calls_->Explanations(3);
    EXPECT_THAT(NamesOf(calls), ElementsAre("orgs/acme/teams/eng/mcpServers/a orgs/acme/teams/eng",
                                            "orgs/acme/mcpServers/a orgs/acme/teams/eng", "orgs/acme/mcpServers/b "));
    calls[0].second(absl::NotFoundError("none"));
    calls[1].second(*line == '\0' ? std::vector<std::string>() : std::vector<std::string>{line});
    calls[2].second(std::vector<std::string>());
    asking.join();
    if (*line == '\0') {
      EXPECT_THAT(lines, IsEmpty());
    } else {
      EXPECT_THAT(lines, ElementsAre("container x: X would have no value: set it"));
    }
  }
}

}  // namespace
}  // namespace keyferry::injector::webhook
