#include "server/rpc/held_calls.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "server/errors.h"

namespace keyferry::server {
namespace {

using End = std::function<void()>;

HeldCalls::Limits Quick() {
  HeldCalls::Limits limits;
  limits.longest = absl::Hours(1);
  limits.look = absl::Milliseconds(5);
  return limits;
}

bool Never() { return false; }
void Ignore(End) {}

std::string ReasonOf(const absl::Status& status) {
  v1::ErrorDetail detail;
  return GetDetail(status, &detail) ? detail.reason() : "";
}

// What a call is run again with.
struct Call {
  void Again(const absl::Status& status) {
    EXPECT_FALSE(ran.HasBeenNotified());
    reason = ReasonOf(status);
    ran.Notify();
  }
  auto Rule() {
    return [this](const absl::Status& status) { Again(status); };
  }
  absl::Notification ran;
  std::string reason;
};

TEST(HeldCallsTest, RunsAgainOnceHoweverOftenAndWheneverItIsEnded) {
  HeldCalls::Limits limits = Quick();
  // Nobody looks: it is the end that runs it.
  limits.look = absl::Hours(1);
  std::vector<End> ends;
  {
    HeldCalls calls(limits);
    Call at_once;
    ASSERT_TRUE(calls
                    .TryHold(
                        "acme", absl::InfiniteFuture(), Never, [](const End& end) { end(); }, at_once.Rule())
                    .ok());
    at_once.ran.WaitForNotification();

    Call later;
    const auto keep = [&](End end) { ends.push_back(std::move(end)); };
    ASSERT_TRUE(calls.TryHold("acme", absl::InfiniteFuture(), Never, keep, later.Rule()).ok());
    EXPECT_FALSE(later.ran.HasBeenNotified());
    std::thread other([&] { ends[0](); });
    ends[0]();
    other.join();
    later.ran.WaitForNotification();
    EXPECT_EQ(later.reason, "");
    ends[0]();
  }
  ends[0]();
}

TEST(HeldCallsTest, NoCallIsHeldLongerThanItMayBeOrItsCallerStays) {
  HeldCalls calls(Quick());
  Call late;
  ASSERT_TRUE(calls.TryHold("acme", absl::Now() + absl::Milliseconds(1), Never, Ignore, late.Rule()).ok());
  late.ran.WaitForNotification();
  Call past;
  ASSERT_TRUE(calls.TryHold("acme", absl::InfinitePast(), Never, Ignore, past.Rule()).ok());
  past.ran.WaitForNotification();
  std::atomic<bool> gone{false};
  Call cancelled;
  ASSERT_TRUE(calls
                  .TryHold(
                      "acme", absl::InfiniteFuture(), [&] { return gone.load(); }, Ignore, cancelled.Rule())
                  .ok());
  EXPECT_FALSE(cancelled.ran.HasBeenNotified());
  gone = true;
  cancelled.ran.WaitForNotification();
  HeldCalls::Limits limits = Quick();
  limits.longest = absl::Milliseconds(1);
  HeldCalls impatient(limits);
  Call longest;
  ASSERT_TRUE(impatient.TryHold("acme", absl::InfiniteFuture(), Never, Ignore, longest.Rule()).ok());
  longest.ran.WaitForNotification();
}

TEST(HeldCallsTest, HoldsNoMoreThanItMay) {
  HeldCalls::Limits limits = Quick();
  limits.total = 3;
  limits.per_org = 2;
  HeldCalls calls(limits);
  std::vector<End> ends;
  const auto keep = [&](End end) { ends.push_back(std::move(end)); };
  Call held[4];
  const auto hold = [&](int i, const std::string& org) {
    return ReasonOf(calls.TryHold(org, absl::InfiniteFuture(), Never, keep, held[i].Rule()));
  };
  EXPECT_EQ(hold(0, "acme"), "");
  EXPECT_EQ(hold(1, "acme"), "");
  EXPECT_EQ(hold(2, "acme"), "SERVER_BUSY");
  EXPECT_EQ(hold(2, "other"), "");
  EXPECT_EQ(hold(3, "third"), "SERVER_BUSY");
  EXPECT_EQ(calls.held(), 3u);
  for (const End& end : ends) end();
  for (int i = 0; i < 3; ++i) held[i].ran.WaitForNotification();
  EXPECT_FALSE(held[3].ran.HasBeenNotified());
}

TEST(HeldCallsTest, ADrainEndsThemAllAndLetsNoNewOneBegin) {
  Call first, second;
  HeldCalls calls(Quick());
  ASSERT_TRUE(calls.TryHold("acme", absl::InfiniteFuture(), Never, Ignore, first.Rule()).ok());
  calls.Drain();
  first.ran.WaitForNotification();
  EXPECT_EQ(first.reason, "SERVER_DRAINING");
  EXPECT_EQ(ReasonOf(calls.TryHold("acme", absl::InfiniteFuture(), Never, Ignore, second.Rule())), "SERVER_DRAINING");
  EXPECT_FALSE(second.ran.HasBeenNotified());
}

}  // namespace
}  // namespace keyferry::server
