#include "injector/exec/failure.h"

#include <errno.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/exec/launch_failure.h"

namespace keyferry::injector {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kServer[] = "orgs/dev/mcpServers/github";

TEST(FailureOf, ExitCodeOfEachCode) {
  const struct {
    absl::StatusCode code;
    int want;
  } cases[] = {
      {absl::StatusCode::kUnavailable, 69},       {absl::StatusCode::kDeadlineExceeded, 69},
      {absl::StatusCode::kResourceExhausted, 69}, {absl::StatusCode::kInternal, 69},
      {absl::StatusCode::kUnknown, 69},           {absl::StatusCode::kDataLoss, 69},
      {absl::StatusCode::kUnimplemented, 69},     {absl::StatusCode::kAborted, 69},
      {absl::StatusCode::kUnauthenticated, 77},   {absl::StatusCode::kPermissionDenied, 77},
      {absl::StatusCode::kNotFound, 77},          {absl::StatusCode::kFailedPrecondition, 78},
      {absl::StatusCode::kInvalidArgument, 64},
  };
  for (const auto& test : cases) {
    client::ApiError error;
    error.code = test.code;
    error.message = "what went wrong";
    const Failure failure = FailureOf(error, kServer);
    EXPECT_EQ(failure.exit_code, test.want) << absl::StatusCodeToString(test.code);
    EXPECT_THAT(failure.message, HasSubstr("what went wrong"));
  }
}

TEST(FailureOf, NamesEachMissingVariable) {
  client::ApiError error;
  error.code = absl::StatusCode::kFailedPrecondition;
  error.missing_variables = {
      {"GITHUB_TOKEN",
       {"orgs/dev/users/ann/credentials/GITHUB_TOKEN", "orgs/dev/credentials/GITHUB_TOKEN"},
       "run keyferry credential create GITHUB_TOKEN"},
      {"API_KEY", {}, ""},
  };
  const Failure failure = FailureOf(error, kServer);
  EXPECT_EQ(failure.exit_code, 78);
  EXPECT_THAT(
      failure.message,
      AllOf(HasSubstr(kServer), HasSubstr("2 required variables"), HasSubstr("GITHUB_TOKEN (tried"),
            HasSubstr("orgs/dev/users/ann/credentials/GITHUB_TOKEN"), HasSubstr("orgs/dev/credentials/GITHUB_TOKEN"),
            HasSubstr("run keyferry credential create GITHUB_TOKEN"), HasSubstr("API_KEY: set it")));
}

TEST(FailureOf, SaysWhereToConnect) {
  client::ApiError error;
  error.code = absl::StatusCode::kFailedPrecondition;
  error.missing_variables = {{"A", {}, "run keyferry connect github", "https://k.example/c/1"},
                             {"B", {}, "", "https://k.example/c/2"},
                             {"C", {}, "open https://k.example/c/3", "https://k.example/c/3"}};
  EXPECT_THAT(FailureOf(error, kServer).message,
              HasSubstr("A: run keyferry connect github (connect at https://k.example/c/1); B: connect at "
                        "https://k.example/c/2; C: open https://k.example/c/3"));
}

TEST(FailureOf, OneLineWithoutControlCharacters) {
  client::ApiError error;
  error.code = absl::StatusCode::kFailedPrecondition;
  error.missing_variables = {{"A\x1b[2J", {"x\ny"}, "do\rthis\x7f"}};
  const Failure failure = FailureOf(error, kServer);
  for (char c : {'\x1b', '\n', '\r', '\x7f'}) EXPECT_EQ(failure.message.find(c), std::string::npos);
}

TEST(FailureOf, NotFoundSaysThatHiddenAndAbsentLookAlike) {
  client::ApiError error;
  error.code = absl::StatusCode::kNotFound;
  EXPECT_THAT(FailureOf(error, kServer).message, AllOf(HasSubstr(kServer), HasSubstr("may not see it")));
}

TEST(LaunchFailure, AsEnv) {
  EXPECT_EQ(LaunchFailure("cmd", ENOENT).exit_code, 127);
  EXPECT_EQ(LaunchFailure("cmd", EACCES).exit_code, 126);
  EXPECT_EQ(LaunchFailure("cmd", ENOEXEC).exit_code, 126);
  EXPECT_EQ(LaunchFailure("cmd", E2BIG).exit_code, 126);
  EXPECT_THAT(LaunchFailure("cmd", ENOENT).message, AllOf(HasSubstr("cmd"), Not(HasSubstr("\n"))));
}

TEST(OtherFailures, Codes) {
  EXPECT_EQ(UsageFailure(absl::InvalidArgumentError("x")).exit_code, 64);
  EXPECT_EQ(RefusedEnvironment(absl::PermissionDeniedError("x"), kServer).exit_code, 78);
  EXPECT_THAT(RefusedEnvironment(absl::PermissionDeniedError("x"), kServer).message, HasSubstr(kServer));
}

}  // namespace
}  // namespace keyferry::injector
