#include "server/oauth/refresh/schedule.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

using State = Schedule::State;
using testing::ElementsAre;
using testing::Pair;

const absl::Time kStart = absl::FromUnixSeconds(1800000000);

Schedule::Index Add(Schedule& schedule, uint64_t number, const std::string& provider = "p",
                    const std::string& org = "acme") {
  return schedule.Add({number * 0x9E3779B97F4A7C15, number}, {org, absl::StrCat("users/u", number), provider});
}

// What is admitted at once, by organization, and stays running.
std::map<std::string, int> AdmitAll(Schedule& schedule, absl::Time now) {
  std::map<std::string, int> admitted;
  while (const auto next = schedule.Admit(now)) ++admitted[schedule.OrgOf(schedule.at(*next).line)];
  return admitted;
}

TEST(Schedule, RunsInOrderOfDueTimeAndTheUrgentFirst) {
  Schedule schedule(64);
  std::vector<Schedule::Index> all;
  for (uint64_t i = 0; i < 4; ++i) all.push_back(Add(schedule, i));
  for (const int i : {2, 0, 3, 1}) schedule.SetDue(all[i], kStart + absl::Seconds(i));
  EXPECT_EQ(schedule.NextDue(), kStart);
  schedule.FireDue(kStart + absl::Seconds(2), kStart);
  EXPECT_EQ(schedule.ready(), 3);
  schedule.Enqueue(all[2], /*urgent=*/true, kStart);
  std::vector<Schedule::Index> order;
  for (int tenth = 0; tenth < 5; ++tenth) {
    if (const auto next = schedule.Admit(kStart + absl::Milliseconds(100) * tenth)) order.push_back(*next);
  }
  EXPECT_THAT(order, ElementsAre(all[2], all[0], all[1]));
  EXPECT_EQ(schedule.running(), 3);
  EXPECT_EQ(schedule.NextDue(), kStart + absl::Seconds(3));
}

TEST(Schedule, GivesASlotBackUnlessAnotherHasRunSince) {
  Schedule schedule(64);
  std::vector<Schedule::Index> all;
  for (uint64_t i = 0; i < 4; ++i) {
    all.push_back(Add(schedule, i));
    schedule.Enqueue(all.back(), /*urgent=*/false, kStart);
  }
  ASSERT_EQ(schedule.Admit(kStart), all[0]);
  EXPECT_EQ(schedule.Admit(kStart), std::nullopt);
  schedule.End(all[0], State::kIdle, /*asked=*/false, std::nullopt, kStart);
  ASSERT_EQ(schedule.Admit(kStart), all[1]);
  ASSERT_EQ(schedule.Admit(kStart + absl::Milliseconds(100)), all[2]);
  schedule.End(all[1], State::kIdle, /*asked=*/false, std::nullopt, kStart);
  EXPECT_EQ(schedule.Admit(kStart + absl::Milliseconds(199)), std::nullopt);
  EXPECT_EQ(schedule.NextSlot(), kStart + absl::Milliseconds(200));
  EXPECT_EQ(schedule.Admit(kStart + absl::Milliseconds(200)), all[3]);
}

TEST(Schedule, ARateThatRisesIsUsedAtOnce) {
  Schedule schedule(64);
  const auto first = Add(schedule, 1);
  const auto second = Add(schedule, 2);
  schedule.SetProvider(schedule.at(first).line, /*max_per_second=*/0.01, 7, kStart);
  schedule.Enqueue(first, false, kStart);
  schedule.Enqueue(second, false, kStart);
  ASSERT_EQ(schedule.Admit(kStart), first);
  EXPECT_EQ(schedule.NextSlot(), kStart + absl::Seconds(100));
  schedule.SetProvider(schedule.at(first).line, /*max_per_second=*/1, 8, kStart);
  EXPECT_EQ(schedule.NextSlot(), kStart + absl::Seconds(1));
  EXPECT_EQ(schedule.ProviderUpdateTime(schedule.at(first).line), 8);
}

TEST(Schedule, AnOrganizationLeavesRoomForOthersHoweverManyProvidersItHas) {
  Schedule schedule(64);
  uint64_t number = 0;
  const auto enqueue = [&](const std::string& org, int count) {
    for (int i = 0; i < count; ++i) {
      // Each a provider of its own, none of which answers.
      ++number;
      schedule.Enqueue(Add(schedule, number, absl::StrCat("p", number), org), /*urgent=*/i % 2 == 0, kStart);
    }
  };
  enqueue("greedy", 1000);
  EXPECT_THAT(AdmitAll(schedule, kStart), ElementsAre(Pair("greedy", 32)));
  EXPECT_EQ(schedule.NextSlot(), absl::InfiniteFuture()) << "until one of its own ends";
  enqueue("second", 1000);
  EXPECT_EQ(schedule.NextSlot(), absl::InfinitePast());
  EXPECT_THAT(AdmitAll(schedule, kStart), ElementsAre(Pair("second", 21)));
  enqueue("small", 3);
  EXPECT_THAT(AdmitAll(schedule, kStart), ElementsAre(Pair("small", 3)));
  enqueue("fourth", 1000);
  EXPECT_THAT(AdmitAll(schedule, kStart), ElementsAre(Pair("fourth", 8))) << "what is left";
  EXPECT_EQ(schedule.running(), 64);
}

TEST(Schedule, OrganizationsTakeTurns) {
  Schedule schedule(12);
  std::map<std::string, std::vector<Schedule::Index>> all;
  for (uint64_t i = 0; i < 300; ++i) {
    const std::string org = i < 280 ? "large" : i < 290 ? "b" : "c";
    all[org].push_back(Add(schedule, i, absl::StrCat("p", i), org));
    schedule.Enqueue(all[org].back(), false, kStart);
  }
  // Three, and a share for the next.
  EXPECT_THAT(AdmitAll(schedule, kStart), ElementsAre(Pair("b", 3), Pair("c", 3), Pair("large", 3)));
  // One after the other goes on.
  std::map<std::string, int> begun;
  for (int round = 0; round < 21; ++round) {
    std::vector<Schedule::Index> running;
    schedule.ForEach([&](auto index, const auto& entry) {
      if (entry.state == State::kRunning) running.push_back(index);
    });
    for (const auto index : running) schedule.End(index, State::kIdle, true, true, kStart);
    for (const auto& [org, count] : AdmitAll(schedule, kStart)) begun[org] += count;
  }
  EXPECT_EQ(begun["b"], 7) << "all of them";
  EXPECT_EQ(begun["c"], 7);
  EXPECT_GE(begun["large"], 21 * 3);
}

TEST(Schedule, APauseHoldsWhatNobodyWaitsFor) {
  Schedule schedule(64);
  std::vector<Schedule::Index> all;
  for (uint64_t i = 0; i < 4; ++i) all.push_back(Add(schedule, i));
  const uint32_t line = schedule.at(all[0]).line;
  schedule.SetProvider(line, /*max_per_second=*/10, /*update_time=*/7, kStart);
  schedule.Enqueue(all[0], false, kStart);
  // Also if it has been given its turn before.
  schedule.Pause(line, kStart + absl::Hours(1), kStart);
  schedule.Enqueue(all[1], false, kStart);
  EXPECT_EQ(schedule.Admit(kStart), std::nullopt);
  EXPECT_EQ(schedule.NextSlot(), kStart + absl::Hours(1));
  schedule.Pause(line, kStart + absl::Minutes(1), kStart);
  EXPECT_EQ(schedule.PausedUntil(line), kStart + absl::Hours(1)) << "never shorter";
  schedule.Enqueue(all[2], /*urgent=*/true, kStart);
  EXPECT_EQ(schedule.NextSlot(), absl::InfinitePast());
  EXPECT_EQ(schedule.Admit(kStart), all[2]);
  schedule.End(all[2], State::kIdle, /*asked=*/false, std::nullopt, kStart);
  EXPECT_EQ(schedule.Admit(kStart), std::nullopt);
  EXPECT_EQ(schedule.Admit(kStart + absl::Hours(1) - absl::Nanoseconds(1)), std::nullopt);
  EXPECT_EQ(schedule.Admit(kStart + absl::Hours(1)), all[0]);
  EXPECT_EQ(schedule.Admit(kStart + absl::Hours(1) + absl::Milliseconds(100)), all[1]);
  // Another provider's, and what the provider is now, are not held.
  schedule.Pause(line, kStart + absl::Hours(9), kStart + absl::Hours(2));
  const auto other = Add(schedule, 9, "q");
  schedule.Enqueue(other, false, kStart + absl::Hours(2));
  EXPECT_EQ(schedule.Admit(kStart + absl::Hours(2)), other);
  schedule.Enqueue(all[3], false, kStart + absl::Hours(2));
  EXPECT_EQ(schedule.Admit(kStart + absl::Hours(2)), std::nullopt);
  schedule.SetProvider(line, 10, /*update_time=*/8, kStart + absl::Hours(2));
  EXPECT_EQ(schedule.Admit(kStart + absl::Hours(2)), all[3]);
}

// Random operations, against what must always hold: the rate of each provider, its pauses, the places, no more than
// half of them for one organization, and that everything that waits runs in the end.
class RandomUse {
 public:
  static constexpr int kConnections = 200;
  static constexpr int kProviders = 5;
  static constexpr int kOrgs = 3;
  static constexpr size_t kPlaces = 16;

  explicit RandomUse(unsigned seed) : random_(seed) {
    for (uint64_t i = 0; i < kConnections; ++i) {
      all_.push_back(Add(schedule_, i, absl::StrCat("p", i % kProviders), absl::StrCat("org", i % kOrgs)));
      const uint32_t line = schedule_.at(all_.back()).line;
      spacing_[line] = absl::Seconds(1) / (10.0 * (1 + i % kProviders));
      schedule_.SetProvider(line, 10.0 * (1 + i % kProviders), 0, kStart);
    }
  }

  void Step() {
    now_ += absl::Microseconds(random_() % 5000);
    const Schedule::Index some = all_[random_() % all_.size()];
    const auto what = random_() % 32;
    if (what == 0) {
      Pause(schedule_.at(some).line, now_ + absl::Milliseconds(random_() % 1000));
    } else if (what <= 8) {
      if (schedule_.at(some).state == State::kIdle) schedule_.SetDue(some, now_ + absl::Milliseconds(random_() % 2000));
    } else if (what <= 16) {
      schedule_.Enqueue(some, random_() % 2 == 0, now_);
      if (schedule_.at(some).state == State::kUrgent) urgent_.insert(some);
    } else if (what <= 24) {
      if (running_.empty()) return;
      std::swap(running_[random_() % running_.size()], running_.back());
      End(random_() % 8 == 0 ? State::kWaiting : State::kIdle);
    } else {
      schedule_.FireDue(now_, now_);
      Admit();
    }
    ASSERT_LE(schedule_.running(), kPlaces);
    ASSERT_EQ(schedule_.running(), running_.size());
  }

  void RunTheRest() {
    for (int step = 0; step < 100000 && (schedule_.ready() > 0 || !running_.empty()); ++step) {
      now_ += absl::Milliseconds(1);
      Admit();
      while (!running_.empty()) End(State::kIdle);
    }
    EXPECT_EQ(schedule_.ready(), 0);
    size_t waiting = 0;
    schedule_.ForEach([&](auto, const auto& entry) { waiting += entry.state == State::kWaiting; });
    EXPECT_EQ(waiting, schedule_.waiting());
  }

  // Of those that asked their provider, in the order in which they began.
  void CheckRates() {
    EXPECT_EQ(asked_.size(), kProviders * kOrgs);
    for (auto& [line, times] : asked_) {
      std::sort(times.begin(), times.end());
      EXPECT_GT(times.size(), 20);
      for (size_t i = 1; i < times.size(); ++i) {
        ASSERT_GE(times[i] - times[i - 1], spacing_[line] - absl::Nanoseconds(1)) << "line " << line;
      }
    }
  }

 private:
  struct Running {
    Schedule::Index index;
    absl::Time begun;
    bool paused;
  };

  void Pause(uint32_t line, absl::Time until) {
    schedule_.Pause(line, until, now_);
    paused_until_[line] = std::max(paused_until_[line], until);
  }

  void Admit() {
    while (const auto next = schedule_.Admit(now_)) {
      const uint32_t line = schedule_.at(*next).line;
      const bool paused = paused_until_[line] > now_;
      const bool urgent = urgent_.erase(*next) > 0;
      ASSERT_TRUE(urgent || !paused);
      running_.push_back({*next, now_, paused});
      const std::string& org = schedule_.OrgOf(line);
      const auto of_org = [&](const Running& r) { return schedule_.OrgOf(schedule_.at(r.index).line) == org; };
      ASSERT_LE(static_cast<size_t>(std::count_if(running_.begin(), running_.end(), of_org)), kPlaces / 2);
    }
  }

  void End(State state) {
    const Running last = running_.back();
    running_.pop_back();
    // As a run does, which asks for nothing in a pause.
    const bool asked = !last.paused && random_() % 2 == 0;
    if (asked) asked_[schedule_.at(last.index).line].push_back(last.begun);
    schedule_.End(last.index, state, asked, random_() % 4 == 0 ? std::nullopt : std::optional<bool>(random_() % 3 != 0),
                  now_);
  }

  std::mt19937 random_;
  Schedule schedule_{kPlaces};
  absl::Time now_ = kStart;
  std::vector<Schedule::Index> all_;
  std::vector<Running> running_;
  std::map<uint32_t, absl::Duration> spacing_;
  std::map<uint32_t, absl::Time> paused_until_;
  std::set<Schedule::Index> urgent_;
  std::map<uint32_t, std::vector<absl::Time>> asked_;
};

TEST(Schedule, HoldsItsBoundsUnderRandomUse) {
  for (const unsigned seed : {20260824u, 1u, 2u}) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    RandomUse use(seed);
    for (int step = 0; step < 20000; ++step) {
      use.Step();
      if (testing::Test::HasFatalFailure()) return;
    }
    use.RunTheRest();
    use.CheckRates();
  }
}

TEST(Schedule, ReusesPlacesOfThoseThatWereRemoved) {
  Schedule schedule(4);
  const auto first = Add(schedule, 1);
  schedule.Enqueue(first, false, kStart);
  schedule.Remove(first);
  EXPECT_EQ(schedule.size(), 0);
  EXPECT_EQ(schedule.ready(), 0);
  const auto second = Add(schedule, 2, "q");
  EXPECT_EQ(second, first);
  EXPECT_EQ(schedule.Admit(kStart), std::nullopt) << "what was queued is gone";
  EXPECT_EQ(schedule.Find({1 * 0x9E3779B97F4A7C15, 1}), std::nullopt);
  EXPECT_EQ(schedule.KeyOf(second).provider, "q");
}

}  // namespace
}  // namespace keyferry::server
