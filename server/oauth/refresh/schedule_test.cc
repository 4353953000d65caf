#include "server/oauth/refresh/schedule.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

using State = Schedule::State;
using testing::ElementsAre;

const absl::Time kStart = absl::FromUnixSeconds(1800000000);

Schedule::Index Add(Schedule& schedule, uint64_t number, const std::string& provider = "p") {
  return schedule.Add({number * 0x9E3779B97F4A7C15, number}, {"acme", absl::StrCat("users/u", number), provider});
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

// Random operations against what must always hold: the rate of each provider, the places, and that everything that
// waits runs in the end.
TEST(Schedule, HoldsItsBoundsUnderRandomUse) {
  constexpr int kConnections = 200;
  constexpr int kProviders = 5;
  constexpr size_t kPlaces = 16;
  const unsigned seed = 20260824;
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937 random(seed);
  Schedule schedule(kPlaces);
  std::vector<Schedule::Index> all;
  std::vector<Schedule::Index> running;
  std::map<uint32_t, std::vector<absl::Time>> begun;
  for (uint64_t i = 0; i < kConnections; ++i) {
    all.push_back(Add(schedule, i, absl::StrCat("p", i % kProviders)));
    schedule.SetProvider(schedule.at(all.back()).line, 10.0 * (1 + i % kProviders), 0, kStart);
  }
  absl::Time now = kStart;
  for (int step = 0; step < 20000; ++step) {
    now += absl::Microseconds(random() % 5000);
    const Schedule::Index some = all[random() % all.size()];
    switch (random() % 4) {
      case 0:
        if (schedule.at(some).state == State::kIdle) schedule.SetDue(some, now + absl::Milliseconds(random() % 2000));
        break;
      case 1:
        schedule.Enqueue(some, random() % 2 == 0, now);
        break;
      case 2:
        if (running.empty()) break;
        std::swap(running[random() % running.size()], running.back());
        schedule.End(running.back(), random() % 8 == 0 ? State::kWaiting : State::kIdle, /*asked=*/random() % 2 == 0,
                     random() % 4 == 0 ? std::nullopt : std::optional<bool>(random() % 3 != 0), now);
        running.pop_back();
        break;
      default:
        schedule.FireDue(now, now);
        while (const auto next = schedule.Admit(now)) {
          running.push_back(*next);
          begun[schedule.at(*next).line].push_back(now);
        }
    }
    ASSERT_LE(schedule.running(), kPlaces);
    ASSERT_EQ(schedule.running(), running.size());
  }
  for (int step = 0; step < 100000 && (schedule.ready() > 0 || !running.empty()); ++step) {
    now += absl::Milliseconds(1);
    while (const auto next = schedule.Admit(now)) running.push_back(*next);
    for (const auto index : running) schedule.End(index, State::kIdle, true, true, now);
    running.clear();
  }
  EXPECT_EQ(schedule.ready(), 0);
  size_t states = 0;
  schedule.ForEach([&](auto, const auto& entry) { states += entry.state == State::kWaiting; });
  EXPECT_EQ(states, schedule.waiting());
  EXPECT_EQ(begun.size(), kProviders);
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
