#include "storage/purger.h"

#include <atomic>
#include <string>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "storage/engine/failing_engine.h"

namespace keyferry::storage {
namespace {

// Its first purge waits until it is let go on, as for a view from before, and is then too late; the next succeeds.
class HoldingEngine : public FailingEngine {
 public:
  absl::StatusOr<Revision> Commit(const EngineBatch&, Durability) override { return Revision{1}; }
  absl::Status Purge(absl::Span<const std::string>, absl::Duration) override {
    if (again_.exchange(true)) {
      begun_again.Notify();
      finish.WaitForNotification();
      return absl::OkStatus();
    }
    begun.Notify();
    go_on.WaitForNotification();
    return absl::DeadlineExceededError("a view still lives");
  }

  absl::Notification begun, go_on, begun_again, finish;

 private:
  std::atomic<bool> again_{false};
};

// Whether an old KEK may become known is decided by this figure.
TEST(PurgerTest, WhatIsBeingPurgedIsPendingUntilItIsGone) {
  HoldingEngine engine;
  Purger purger(&engine, /*delay=*/absl::ZeroDuration());
  EXPECT_EQ(purger.pending(), 0u);
  EngineBatch batch;
  purger.Add(Purger::AddMarker({"one"}, batch));
  engine.begun.WaitForNotification();
  EXPECT_EQ(purger.pending(), 1u);
  purger.Add(Purger::AddMarker({"two"}, batch));
  EXPECT_EQ(purger.pending(), 2u) << "one in hand, and one that waits for its turn";
  engine.go_on.Notify();
  engine.begun_again.WaitForNotification();
  EXPECT_EQ(purger.pending(), 2u);
  engine.finish.Notify();
  ASSERT_TRUE(purger.Wait(absl::InfiniteFuture()).ok());
  EXPECT_EQ(purger.pending(), 0u);
}

}  // namespace
}  // namespace keyferry::storage
