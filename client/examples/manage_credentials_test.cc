// Runs the example as a user would, against a real server.
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "client/keyferry_client.h"
#include "gtest/gtest.h"
#include "tests/harness/child_process.h"
#include "tests/harness/dev_server.h"

namespace keyferry {
namespace {

constexpr char kValue[] = "marker-9c41f7-value";

struct Ended {
  int code = 0;
  std::vector<std::string> lines;
  std::string error;
};

class ExampleTest : public ::testing::Test {
 protected:
  ExampleTest() : directory_(testing::MakeTestDirectory("example")) {
    server_ = testing::DevServer::Start(directory_ + "/data");
    const auto options = server_->Connect()->options();
    setenv("KEYFERRY_ADDRESS", options.address.c_str(), 1);
    setenv("KEYFERRY_CA_FILE", options.ca_file.c_str(), 1);
    setenv("KEYFERRY_TOKEN_FILE", options.token_file.c_str(), 1);
    setenv("KEYFERRY_ORG", "dev", 1);
    std::ofstream(directory_ + "/value") << kValue;
  }

  Ended Run(const std::string& arguments) {
    const std::string error_file = directory_ + "/stderr";
    unlink(error_file.c_str());
    const auto process = testing::ChildProcess::Start(
        {"/bin/sh", "-c", absl::StrCat("exec ", getenv("EXAMPLE"), " ", arguments, " < ", directory_, "/value")},
        error_file);
    Ended ended;
    while (const auto line = process->ReadLine(absl::Now() + absl::Minutes(1))) ended.lines.push_back(*line);
    ended.code = process->Wait();
    ended.error = testing::ReadWholeFile(error_file);
    EXPECT_FALSE(absl::StrContains(absl::StrCat(absl::StrJoin(ended.lines, "\n"), ended.error), kValue));
    return ended;
  }

  const std::string directory_;
  std::unique_ptr<testing::DevServer> server_;
};

TEST_F(ExampleTest, ManagesACredential) {
  const Ended ended = Run("EXAMPLE_KEY");
  EXPECT_EQ(ended.code, 0) << ended.error;
  EXPECT_EQ(ended.lines,
            (std::vector<std::string>{
                "created orgs/dev/credentials/EXAMPLE_KEY version 1", "listed 1 credentials", "rotated to version 2",
                "refused as it should be: ABORTED STALE_ETAG: Read it again and repeat the change with the new etag.",
                "resolved EXAMPLE_KEY from version 2", "deleted"}));
}

TEST_F(ExampleTest, ErrorsAreTyped) {
  const Ended bad_name = Run("not-a-name");
  EXPECT_EQ(bad_name.code, 1);
  EXPECT_TRUE(absl::StrContains(bad_name.error, "create failed: INVALID_ARGUMENT INVALID_FIELD: credential_id"))
      << bad_name.error;
  std::ofstream(directory_ + "/none.token") << "not a token";
  chmod((directory_ + "/none.token").c_str(), 0600);
  setenv("KEYFERRY_TOKEN_FILE", (directory_ + "/none.token").c_str(), 1);
  const Ended no_token = Run("EXAMPLE_KEY");
  EXPECT_EQ(no_token.code, 64);
}

TEST_F(ExampleTest, AServerThatIsGoneIsReported) {
  server_->Kill();
  const Ended ended = Run("EXAMPLE_KEY 2");
  EXPECT_EQ(ended.code, 1);
  EXPECT_TRUE(absl::StrContains(ended.error, "create failed: UNAVAILABLE")) << ended.error;
}

TEST_F(ExampleTest, ListsEveryPageAndPassesErrorsOn) {
  const auto client = client::Client::FromEnvironment();
  ASSERT_TRUE(client.ok()) << client.status();
  for (int i = 0; i < 7; ++i) {
    v1::CreateCredentialRequest request;
    request.set_parent("orgs/dev");
    request.set_credential_id(absl::StrCat("KEY_", i));
    request.set_value(kValue);
    ASSERT_TRUE((*client)->Call(&v1::CredentialService::Stub::CreateCredential, request, client::ChangePolicy()).ok());
  }
  v1::ListCredentialsRequest list;
  list.set_parent("orgs/dev");
  list.set_page_size(3);
  const auto all =
      (*client)->List(&v1::CredentialService::Stub::ListCredentials, list, &v1::ListCredentialsResponse::credentials);
  ASSERT_TRUE(all.ok()) << all.error().OneLine();
  ASSERT_EQ(all->size(), 7u);
  EXPECT_EQ((*all)[6].name(), "orgs/dev/credentials/KEY_6");
  list.set_parent("orgs/void");
  const auto none =
      (*client)->List(&v1::CredentialService::Stub::ListCredentials, list, &v1::ListCredentialsResponse::credentials);
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code, absl::StatusCode::kNotFound);
  EXPECT_EQ(none.error().reason, "NOT_FOUND");
  EXPECT_EQ(none.error().resource, "orgs/void");
}

TEST_F(ExampleTest, ADeadlineHoldsForTheWholeCall) {
  const auto client = client::Client::FromEnvironment();
  ASSERT_TRUE(client.ok()) << client.status();
  const auto caller = (*client)->Call(&v1::TokenService::Stub::GetCaller, v1::GetCallerRequest(),
                                      client::ReadPolicy(absl::Nanoseconds(1)));
  ASSERT_FALSE(caller.ok());
  EXPECT_EQ(caller.error().code, absl::StatusCode::kDeadlineExceeded);
  EXPECT_NE(caller.error().next_step, "");
}

}  // namespace
}  // namespace keyferry
