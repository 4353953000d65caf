#include "server/http/request_slots.h"

#include <deque>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

class Slots {
 public:
  explicit Slots(const RequestSlots::Limits& limits) : slots_(limits) {}

  bool Enter(char id, const std::string& host) {
    return slots_.Enter(Id(id), host, [this, id] { started_ += id; });
  }
  void Leave(char id) { slots_.Leave(Id(id)); }
  const std::string& started() const { return started_; }

 private:
  static const void* Id(char id) {
    static const char kIds[256] = {};
    return &kIds[static_cast<unsigned char>(id)];
  }

  RequestSlots slots_;
  std::string started_;
};

TEST(RequestSlotsTest, OneHostDoesNotTakeWhatOthersNeed) {
  Slots slots({/*running=*/3, /*running_per_host=*/2, /*waiting=*/4, /*waiting_per_host=*/2});
  EXPECT_TRUE(slots.Enter('a', "slow"));
  EXPECT_TRUE(slots.Enter('b', "slow"));
  EXPECT_TRUE(slots.Enter('c', "slow"));
  EXPECT_TRUE(slots.Enter('d', "slow"));
  EXPECT_FALSE(slots.Enter('e', "slow"));
  EXPECT_EQ(slots.started(), "ab");
  EXPECT_TRUE(slots.Enter('f', "other"));
  EXPECT_EQ(slots.started(), "abf");
  EXPECT_TRUE(slots.Enter('g', "other"));
  EXPECT_TRUE(slots.Enter('h', "third"));
  EXPECT_FALSE(slots.Enter('i', "fourth"));
  EXPECT_EQ(slots.started(), "abf");
  // The first that fits: `slow` is full.
  slots.Leave('f');
  EXPECT_EQ(slots.started(), "abfg");
  slots.Leave('a');
  EXPECT_EQ(slots.started(), "abfgc");
  slots.Leave('b');
  EXPECT_EQ(slots.started(), "abfgcd");
}

TEST(RequestSlotsTest, OneThatLeavesWhileItWaitsIsNotStarted) {
  Slots slots({/*running=*/1, /*running_per_host=*/1, /*waiting=*/2, /*waiting_per_host=*/2});
  EXPECT_TRUE(slots.Enter('a', "x"));
  EXPECT_TRUE(slots.Enter('b', "x"));
  EXPECT_TRUE(slots.Enter('c', "x"));
  slots.Leave('b');
  slots.Leave('b');
  EXPECT_TRUE(slots.Enter('d', "x"));
  EXPECT_FALSE(slots.Enter('e', "x"));
  slots.Leave('e');
  slots.Leave('a');
  EXPECT_EQ(slots.started(), "ac");
  slots.Leave('c');
  EXPECT_EQ(slots.started(), "acd");
}

TEST(RequestSlotsTest, NeverMoreThanTheLimitsAndNoneForgotten) {
  constexpr unsigned kSeed = 20240;
  std::mt19937 random(kSeed);
  const RequestSlots::Limits limits = {/*running=*/7, /*running_per_host=*/3, /*waiting=*/20, /*waiting_per_host=*/9};
  RequestSlots slots(limits);
  std::deque<std::pair<int, std::string>> requests;  // Stable addresses, which are the ids.
  std::set<size_t> running;
  std::set<size_t> waiting;
  for (int step = 0; step < 20000; ++step) {
    if (random() % 2 == 0 || (running.empty() && waiting.empty())) {
      const size_t index = requests.size();
      requests.emplace_back(0, std::string(1, static_cast<char>('a' + random() % 5)));
      waiting.insert(index);
      const bool fits = slots.Enter(&requests[index], requests[index].second, [&, index] {
        EXPECT_EQ(waiting.erase(index), 1u);
        running.insert(index);
      });
      if (!fits) {
        EXPECT_EQ(waiting.erase(index), 1u);
      }
    } else {
      std::set<size_t>& from = running.empty() || (!waiting.empty() && random() % 4 == 0) ? waiting : running;
      auto it = from.begin();
      std::advance(it, random() % from.size());
      const size_t index = *it;
      from.erase(it);
      slots.Leave(&requests[index]);
    }
    ASSERT_LE(running.size(), limits.running) << "seed " << kSeed << ", step " << step;
    ASSERT_LE(waiting.size(), limits.waiting);
    for (char host = 'a'; host < 'f'; ++host) {
      size_t count = 0;
      size_t queued = 0;
      for (const size_t index : running) count += requests[index].second[0] == host;
      for (const size_t index : waiting) queued += requests[index].second[0] == host;
      ASSERT_LE(count, limits.running_per_host);
      ASSERT_LE(queued, limits.waiting_per_host);
      // Nobody waits for nothing.
      ASSERT_TRUE(queued == 0 || count == limits.running_per_host || running.size() == limits.running);
    }
  }
}

}  // namespace
}  // namespace keyferry::server
