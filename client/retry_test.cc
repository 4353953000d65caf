#include "client/retry.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::client {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

class RetryTest : public testing::Test {
 protected:
  // Runs against a server that answers each of `errors` once and then success; a null code is success.
  std::optional<ApiError> Run(std::vector<ApiError> errors) {
    const RetryEnvironment environment = {[this] { return now_; },
                                          [this](absl::Duration duration) {
                                            waits_.push_back(duration);
                                            now_ += duration;
                                          },
                                          [this] { return random_; }};
    attempts_ = 0;
    return RunWithRetry(policy_, environment, [&](absl::Time deadline) -> std::optional<ApiError> {
      deadline_ = deadline;
      return attempts_ < errors.size() ? std::optional<ApiError>(errors[attempts_++]) : std::nullopt;
    });
  }

  static ApiError Error(absl::StatusCode code, absl::Duration delay = absl::ZeroDuration()) {
    ApiError error;
    error.code = code;
    error.retry_delay = delay;
    return error;
  }

  const absl::Time start_ = absl::FromUnixSeconds(1000);
  absl::Time now_ = start_;
  double random_ = 0;
  CallPolicy policy_;
  std::vector<absl::Duration> waits_;
  absl::Time deadline_;
  size_t attempts_ = 0;
};

const ApiError Unavailable() {
  ApiError error;
  error.code = absl::StatusCode::kUnavailable;
  return error;
}

TEST_F(RetryTest, BacksOffExponentiallyWithJitter) {
  policy_.idempotent = true;
  EXPECT_FALSE(Run({Unavailable(), Unavailable(), Unavailable()}).has_value());
  EXPECT_THAT(waits_, ElementsAre(absl::Milliseconds(50), absl::Milliseconds(100), absl::Milliseconds(200)));
  waits_.clear();
  random_ = 0.5;
  EXPECT_FALSE(Run({Unavailable()}).has_value());
  EXPECT_THAT(waits_, ElementsAre(absl::Milliseconds(75)));
}

TEST_F(RetryTest, StopsWhenTimeIsUp) {
  policy_.idempotent = true;
  policy_.retry_for = absl::Seconds(2);
  const std::optional<ApiError> error = Run(std::vector<ApiError>(100, Unavailable()));
  ASSERT_TRUE(error.has_value());
  EXPECT_LT(now_, start_ + absl::Seconds(2));
  EXPECT_GT(attempts_, 4u);
  EXPECT_EQ(deadline_, start_ + policy_.timeout);
}

TEST_F(RetryTest, NeverBeyondTheTimeout) {
  policy_.idempotent = true;
  policy_.retry_for = absl::Hours(1);
  policy_.timeout = absl::Seconds(1);
  EXPECT_TRUE(Run(std::vector<ApiError>(100, Unavailable())).has_value());
  EXPECT_LT(now_, start_ + absl::Seconds(1));
}

TEST_F(RetryTest, OthersAreTriedOnce) {
  policy_.idempotent = true;
  for (const absl::StatusCode code :
       {absl::StatusCode::kPermissionDenied, absl::StatusCode::kDeadlineExceeded, absl::StatusCode::kInternal,
        absl::StatusCode::kResourceExhausted, absl::StatusCode::kUnauthenticated}) {
    EXPECT_EQ(Run({Error(code)})->code, code);
  }
  policy_.idempotent = false;
  EXPECT_TRUE(Run({Unavailable()}).has_value());
  EXPECT_THAT(waits_, IsEmpty());
}

TEST_F(RetryTest, HonoursTheServersDelay) {
  EXPECT_FALSE(Run({Error(absl::StatusCode::kResourceExhausted, absl::Seconds(1))}).has_value());
  EXPECT_THAT(waits_, ElementsAre(absl::Seconds(1)));
  EXPECT_TRUE(Run({Error(absl::StatusCode::kResourceExhausted, absl::Hours(1))}).has_value());
}

}  // namespace
}  // namespace keyferry::client
