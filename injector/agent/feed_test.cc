// What a launch and a running command get of an environment that is current, last known, too old or refused.
#include "injector/agent/feed.h"

#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "injector/agent/testing/test_agent.h"

namespace keyferry::injector::agent {
namespace {

using testing::EnvironmentOf;

class FeedTest : public ::testing::Test, public ReportSink {
 protected:
  FeedTest() : feed_("orgs/acme/mcpServers/github", {absl::Hours(1), [this] { return now_; }}) {}

  void Running(int64_t revision, int64_t pid) override { absl::StrAppend(&reports_, revision, ":", pid, " "); }
  void NothingRuns() override { absl::StrAppend(&reports_, "nothing "); }
  std::string ForLaunch() const {
    const Feed::Answer answer = feed_.ForLaunch();
    if (const auto* ready = std::get_if<Feed::Ready>(&answer)) return absl::StrCat("ready ", ready->revision);
    if (const auto* waiting = std::get_if<Feed::Waiting>(&answer)) return "waiting " + waiting->why;
    return absl::StrCat("failure ", std::get<Failure>(answer).exit_code);
  }

  absl::Time now_ = absl::FromUnixSeconds(1800000000);
  Feed feed_;
  std::string reports_;
};

TEST_F(FeedTest, LaunchesWaitUntilThereIsAnEnvironment) {
  EXPECT_EQ(ForLaunch(), "waiting orgs/acme/mcpServers/github: the server has not been reached yet");
  feed_.TakeStanding(Standing::kUnknown, {kUnavailable, "refused"});
  EXPECT_EQ(ForLaunch(), "waiting orgs/acme/mcpServers/github: refused");
  EXPECT_FALSE(feed_.ForRunning().has_value());
  feed_.TakeEnvironment(EnvironmentOf({{"A", "1"}}, 5));
  EXPECT_EQ(ForLaunch(), "ready 5");
}

TEST_F(FeedTest, LastKnownValuesAreGivenOutUntilTheyAreTooOld) {
  feed_.TakeEnvironment(EnvironmentOf({{"A", "1"}}, 5));
  feed_.TakeStanding(Standing::kUnknown, {kUnavailable, "gone"});
  now_ += absl::Hours(1);
  EXPECT_EQ(ForLaunch(), "ready 5");
  now_ += absl::Seconds(1);
  EXPECT_EQ(ForLaunch().substr(0, 7), "waiting");
  EXPECT_FALSE(feed_.ForRunning().has_value()) << "to say that one runs already is no way around it";
  feed_.TakeStanding(Standing::kCurrent, {});
  EXPECT_EQ(ForLaunch(), "ready 5");
}

TEST_F(FeedTest, TheClockOfStalenessStartsOnce) {
  feed_.TakeEnvironment(EnvironmentOf({{"A", "1"}}, 5));
  for (int i = 0; i < 4; ++i) {
    feed_.TakeStanding(Standing::kUnknown, {kUnavailable, "gone"});
    now_ += absl::Minutes(20);
  }
  EXPECT_EQ(ForLaunch().substr(0, 7), "waiting");
}

TEST_F(FeedTest, WhatTheServerRefusesIsGivenToNobody) {
  feed_.TakeEnvironment(EnvironmentOf({{"A", "1"}}, 5));
  feed_.TakeStanding(Standing::kRefused, {kNotPermitted, "revoked"});
  EXPECT_EQ(ForLaunch(), "failure 77");
  EXPECT_FALSE(feed_.ForRunning().has_value());
  feed_.TakeEnvironment(EnvironmentOf({{"A", "2"}}, 6));
  EXPECT_EQ(ForLaunch(), "ready 6");
}

TEST_F(FeedTest, TheRevisionThatIsFurthestBehindIsReported) {
  feed_.ReportTo(this);
  int a = 0;
  int b = 0;
  feed_.Holds(&a, 5, 100);
  feed_.Holds(&b, 5, 200);
  feed_.Holds(&a, 6, 101);
  EXPECT_EQ(reports_, "5:100 5:200 ");
  feed_.Holds(&b, 6, 201);
  feed_.HoldsNothing(&b);
  EXPECT_EQ(reports_.substr(reports_.size() - 6), "6:101 ");
}

TEST_F(FeedTest, WhenNobodyIsLeftNothingRunsUntilTheNext) {
  feed_.ReportTo(this);
  int a = 0;
  int b = 0;
  feed_.HoldsNothing(&a);
  EXPECT_EQ(reports_, "") << "nothing ever ran";
  feed_.Holds(&a, 5, 100);
  feed_.Holds(&b, 5, 200);
  feed_.HoldsNothing(&a);
  reports_.clear();
  feed_.HoldsNothing(&b);
  feed_.HoldsNothing(&b);
  EXPECT_EQ(reports_, "nothing ");
  feed_.Holds(&b, 5, 200);
  EXPECT_EQ(reports_, "nothing 5:200 ");
}

}  // namespace
}  // namespace keyferry::injector::agent
