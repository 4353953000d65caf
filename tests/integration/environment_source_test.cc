// The injector's source of environments against a real server.
#include "injector/source/environment_source.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "keyferry/v1/processes.pb.h"
#include "keyferry/v1/sessions.pb.h"
#include "keyferry/v1/tokens.pb.h"
#include "tests/integration/recording_listener.h"
#include "tests/integration/world.h"

namespace keyferry::testing {
namespace {

using injector::EnvironmentSource;
using injector::ExecOptions;
using injector::Failure;
using injector::ResolvedEnvironment;
using injector::ServerAccess;

constexpr char kGithubToken[] = "orgs/acme/credentials/GITHUB_TOKEN";

class EnvironmentSourceTest : public ::testing::Test {
 protected:
  EnvironmentSourceTest() {
    exec_.mcp_server = "github";
    exec_.startup_timeout = absl::Seconds(20);
    exec_.connection.address = world_.address();
    exec_.connection.ca_file = world_.directory() + "/ca.pem";
    exec_.connection.token_file = world_.directory() + "/injector.token";
    exec_.connection.org = "acme";
    exec_.command = {"true"};
    WriteToken(Who::kWorkload);
    options_.debounce = absl::Milliseconds(1);
    options_.unreachable = {absl::Milliseconds(10), absl::Milliseconds(100)};
    options_.refused = {absl::Milliseconds(50), absl::Milliseconds(200)};
    options_.file_check = absl::Milliseconds(20);
    process_.set_process_id("supervised");
  }

  void WriteFile(const std::string& path, const std::string& text) {
    const std::string temporary = path + ".new";
    std::ofstream(temporary) << text;
    ASSERT_EQ(chmod(temporary.c_str(), 0600), 0);
    ASSERT_EQ(rename(temporary.c_str(), path.c_str()), 0);
  }
  void WriteToken(Who who) { WriteFile(exec_.connection.token_file, world_.Bearer(who).substr(7)); }

  // Opens and starts; the first environment in words, or "failed CODE MESSAGE".
  std::string Open() {
    auto access = ServerAccess::Load(exec_, [](const char*) -> const char* { return nullptr; });
    if (!access.ok()) return access.status().ToString();
    ResolvedEnvironment first;
    Failure failure;
    options_.startup_timeout = exec_.startup_timeout;
    source_ = EnvironmentSource::Open(*std::move(access), process_, options_, &first, &failure);
    if (source_ == nullptr) return absl::StrCat("failed ", failure.exit_code, " ", failure.message);
    revision_ = first.revision;
    source_->Start(&listener_);
    return InWords(first);
  }
  void Rotate() {
    world_.MustCall(Who::kAdmin, "CredentialService.RotateCredential",
                    absl::StrCat("name: '", kGithubToken, "' value: 'next'"));
  }
  // "current:pid=version outdated:..." of the processes that hold the credential, as `rollout --watch` shows them.
  std::string Rollout() {
    v1::CredentialRollout answer;
    answer.ParseFromString(world_.MustCall(Who::kAdmin, "ProcessService.GetCredentialRollout",
                                           absl::StrCat("name: '", kGithubToken, "'")));
    std::string text;
    for (const v1::RolloutProcess& one : answer.processes()) {
      absl::StrAppend(&text, text.empty() ? "" : " ",
                      one.state() == v1::ROLLOUT_STATE_CURRENT ? "current:" : "outdated:", one.process().info().pid(),
                      "=v", one.held_version());
    }
    return text;
  }
  int Processes() {
    v1::ListProcessesResponse answer;
    answer.ParseFromString(world_.MustCall(Who::kAdmin, "ProcessService.ListProcesses",
                                           "parent: 'orgs/acme' mcp_server: 'orgs/acme/mcpServers/github'"));
    return static_cast<int>(std::count_if(answer.processes().begin(), answer.processes().end(),
                                          [](const auto& one) { return one.info().process_id() == "supervised"; }));
  }
  // Waits until the rollout shows that; confirmations travel by themselves.
  void AwaitRollout(const std::string& expected) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    while (Rollout() != expected && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(5));
    EXPECT_EQ(Rollout(), expected);
  }

  World world_;
  ExecOptions exec_;
  EnvironmentSource::Options options_;
  v1::ProcessInfo process_;
  RecordingListener listener_;
  std::unique_ptr<EnvironmentSource> source_;
  int64_t revision_ = 0;
};

TEST_F(EnvironmentSourceTest, ARotationMovesFromOutdatedToCurrentAsItIsConfirmed) {
  EXPECT_EQ(Open(), "GITHUB_TOKEN=v1 LEVEL=v0");
  EXPECT_EQ(Rollout(), "");
  source_->Running(revision_, 41);
  AwaitRollout("current:41=v1");
  Rotate();
  EXPECT_EQ(listener_.Next(), "environment GITHUB_TOKEN=v2 LEVEL=v0");
  EXPECT_EQ(Rollout(), "outdated:41=v1");
  EXPECT_GT(listener_.revision(), revision_);
  source_->Running(listener_.revision(), 42);
  AwaitRollout("current:42=v2");
  // The process crashed and was started again.
  source_->Running(listener_.revision(), 43);
  AwaitRollout("current:43=v2");
}

// As `process list` shows them.
TEST_F(EnvironmentSourceTest, WhenNothingRunsTheRecordEndsUntilSomethingDoes) {
  EXPECT_EQ(Open(), "GITHUB_TOKEN=v1 LEVEL=v0");
  source_->Running(revision_, 41);
  AwaitRollout("current:41=v1");
  source_->NothingRuns();
  AwaitRollout("");
  Rotate();
  EXPECT_EQ(listener_.Next(), "environment GITHUB_TOKEN=v2 LEVEL=v0");
  EXPECT_EQ(Rollout(), "");
  source_->Running(listener_.revision(), 42);
  AwaitRollout("current:42=v2");
}

// Whatever is under way or put off, and although the source ends at once.
TEST_F(EnvironmentSourceTest, TheLastWordIsSaidBeforeTheEnd) {
  options_.between_confirmations = absl::Hours(1);
  options_.last_word = absl::Minutes(1);
  EXPECT_EQ(Open(), "GITHUB_TOKEN=v1 LEVEL=v0");
  EXPECT_EQ(Processes(), 1);
  source_->Running(revision_, 41);
  source_->NothingRuns();
  source_.reset();
  EXPECT_EQ(Rollout(), "");
  EXPECT_EQ(Processes(), 0);

  EXPECT_EQ(Open(), "GITHUB_TOKEN=v1 LEVEL=v0");
  source_->Running(revision_, 42);
  AwaitRollout("current:42=v1");
  source_->NothingRuns();
  source_.reset();
  EXPECT_EQ(Processes(), 0);
}

TEST_F(EnvironmentSourceTest, WithoutALastWordTheLeaseDecides) {
  EXPECT_EQ(Open(), "GITHUB_TOKEN=v1 LEVEL=v0");
  source_->Running(revision_, 41);
  AwaitRollout("current:41=v1");
  source_.reset();
  EXPECT_EQ(Rollout(), "current:41=v1");
}

// A pod's container can report as often as it likes: the server is not asked as often, and changes come all the same.
TEST_F(EnvironmentSourceTest, AFloodOfReportsIsNotPassedOn) {
  options_.between_confirmations = absl::Hours(1);
  EXPECT_EQ(Open(), "GITHUB_TOKEN=v1 LEVEL=v0");
  source_->Running(revision_, 41);
  AwaitRollout("current:41=v1");
  for (int pid = 1000; pid < 2000; ++pid) source_->Running(revision_, pid);
  Rotate();
  EXPECT_EQ(listener_.Next(), "environment GITHUB_TOKEN=v2 LEVEL=v0");
  source_->Running(listener_.revision(), 42);
  // The reports were seen by then: what wakes the thread is taken in its order.
  Rotate();
  EXPECT_EQ(listener_.Next(), "environment GITHUB_TOKEN=v3 LEVEL=v0");
  EXPECT_EQ(Rollout(), "outdated:41=v1");
}

TEST_F(EnvironmentSourceTest, ARotationThatIsSupersededIsNeverConfirmed) {
  EXPECT_EQ(Open(), "GITHUB_TOKEN=v1 LEVEL=v0");
  source_->Running(revision_, 41);
  AwaitRollout("current:41=v1");
  Rotate();
  EXPECT_EQ(listener_.Next(), "environment GITHUB_TOKEN=v2 LEVEL=v0");
  Rotate();
  EXPECT_EQ(listener_.Next(), "environment GITHUB_TOKEN=v3 LEVEL=v0");
  EXPECT_EQ(Rollout(), "outdated:41=v1");
  source_->Running(listener_.revision(), 42);
  AwaitRollout("current:42=v3");
}

TEST_F(EnvironmentSourceTest, SaysWhichVariableIsMissingAndWhenItIsBack) {
  EXPECT_EQ(Open(), "GITHUB_TOKEN=v1 LEVEL=v0");
  world_.MustCall(Who::kAdmin, "CredentialService.DeleteCredential", absl::StrCat("name: '", kGithubToken, "'"));
  const std::string problem = listener_.Next();
  EXPECT_TRUE(absl::StartsWith(problem, "problem ")) << problem;
  EXPECT_TRUE(absl::StrContains(problem, "GITHUB_TOKEN (tried orgs/acme/credentials/GITHUB_TOKEN)")) << problem;
  world_.MustCall(Who::kAdmin, "CredentialService.CreateCredential",
                  "parent: 'orgs/acme' credential_id: 'GITHUB_TOKEN' value: 'anew'");
  EXPECT_EQ(listener_.Next(), "problem orgs/acme/mcpServers/github can be resolved again");
  EXPECT_EQ(listener_.Next(), "environment GITHUB_TOKEN=v1 LEVEL=v0") << "of the same version, another value";
  EXPECT_EQ(listener_.AwaitStandings("refused:78 current "), "refused:78 current ");
}

TEST_F(EnvironmentSourceTest, ARevokedTokenIsToldAndAnotherOneInTheFileIsTakenUp) {
  v1::CreateTokenResponse created;
  created.ParseFromString(world_.MustCall(Who::kAdmin, "TokenService.CreateToken",
                                          "parent: 'orgs/acme/workloads/runner' ttl { seconds: 3600 }"));
  WriteFile(exec_.connection.token_file, created.token());
  EXPECT_EQ(Open(), "GITHUB_TOKEN=v1 LEVEL=v0");
  world_.MustCall(Who::kAdmin, "TokenService.RevokeToken", absl::StrCat("name: '", created.metadata().name(), "'"));
  EXPECT_TRUE(absl::StartsWith(listener_.Next(), "ended 77 "));
  EXPECT_EQ(listener_.AwaitStandings("refused:77 "), "refused:77 ");
  Rotate();
  EXPECT_EQ(listener_.Count(), 0) << "told once, and no environment for a token that is revoked";
  // What is refused stays so while the file cannot be read either.
  ASSERT_EQ(remove(exec_.connection.token_file.c_str()), 0);
  EXPECT_TRUE(absl::StartsWith(listener_.Next(), "problem "));
  EXPECT_EQ(listener_.AwaitStandings("refused:77 "), "refused:77 ");
  WriteToken(Who::kWorkload);
  EXPECT_EQ(listener_.Next(), "problem the server answers again");
  EXPECT_EQ(listener_.Next(), "problem orgs/acme/mcpServers/github is permitted again");
  EXPECT_EQ(listener_.Next(), "environment GITHUB_TOKEN=v2 LEVEL=v0");
  EXPECT_EQ(listener_.AwaitStandings("refused:77 current "), "refused:77 current ");
}

TEST_F(EnvironmentSourceTest, ATokenThatIsReplacedBeforeItIsRevokedIsNothingToSpeakOf) {
  v1::CreateTokenResponse created;
  created.ParseFromString(world_.MustCall(Who::kAdmin, "TokenService.CreateToken",
                                          "parent: 'orgs/acme/workloads/runner' ttl { seconds: 3600 }"));
  WriteFile(exec_.connection.token_file, created.token());
  EXPECT_EQ(Open(), "GITHUB_TOKEN=v1 LEVEL=v0");
  WriteToken(Who::kWorkload);
  world_.MustCall(Who::kAdmin, "TokenService.RevokeToken", absl::StrCat("name: '", created.metadata().name(), "'"));
  Rotate();
  EXPECT_EQ(listener_.Next(), "environment GITHUB_TOKEN=v2 LEVEL=v0");
}

TEST_F(EnvironmentSourceTest, ARevokedSessionIsTold) {
  exec_.session_file = world_.directory() + "/session";
  WriteFile(exec_.session_file, world_.session_token());
  EXPECT_EQ(Open(), "GITHUB_TOKEN=v1 LEVEL=v0");
  world_.MustCall(Who::kAdmin, "SessionService.RevokeSession", "name: '$SESSION'");
  EXPECT_TRUE(absl::StartsWith(listener_.Next(), "ended 77 "));
  EXPECT_EQ(listener_.Count(), 0);
}

TEST_F(EnvironmentSourceTest, FailsToBeginWithTheExitCodesOfExec) {
  exec_.startup_timeout = absl::Seconds(1);
  exec_.mcp_server = "incomplete";
  WriteToken(Who::kAdmin);
  const std::string missing = Open();
  EXPECT_TRUE(absl::StartsWith(missing, "failed 78 ")) << missing;
  EXPECT_TRUE(absl::StrContains(missing, "MISSING (tried orgs/acme/users/root/credentials/NOWHERE, ")) << missing;
  exec_.mcp_server = "void";
  EXPECT_TRUE(absl::StartsWith(Open(), "failed 77 "));
  exec_.mcp_server = "Not an id";
  EXPECT_TRUE(absl::StartsWith(Open(), "failed 64 "));
  exec_.mcp_server = "github";
  WriteFile(exec_.connection.token_file, "kft_nobody");
  EXPECT_TRUE(absl::StartsWith(Open(), "failed 77 "));
  WriteToken(Who::kAdmin);
  exec_.connection.address = "127.0.0.1:1";
  const std::string unreachable = Open();
  EXPECT_TRUE(absl::StartsWith(unreachable, "failed 69 ")) << unreachable;
  ASSERT_EQ(unlink(exec_.connection.token_file.c_str()), 0);
  EXPECT_TRUE(absl::StartsWith(Open(), "failed 64 "));
}

TEST_F(EnvironmentSourceTest, EndsWhileTheServerIsAwayAndWhileItIsThere) {
  EXPECT_EQ(Open(), "GITHUB_TOKEN=v1 LEVEL=v0");
  source_.reset();
  EXPECT_EQ(Open(), "GITHUB_TOKEN=v1 LEVEL=v0");
  world_.StopServer();
  EXPECT_TRUE(absl::StrContains(listener_.Next(), "what runs keeps what it has"));
  source_->NothingRuns();
  source_.reset();
  EXPECT_EQ(listener_.Count(), 0) << "once for each problem";
}

}  // namespace
}  // namespace keyferry::testing
