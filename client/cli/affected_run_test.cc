// What commands that change or delete credentials say of who runs with them, before and after.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/run.h"
#include "client/cli/run_fixture.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace keyferry::client::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

v1::CredentialRollout MakeRollout(int64_t version, int current, int outdated) {
  v1::CredentialRollout rollout;
  rollout.set_current_version(version);
  rollout.set_current_count(current);
  rollout.set_outdated_count(outdated);
  v1::RolloutProcess* process = rollout.add_processes();
  process->mutable_process()->set_mcp_server("orgs/dev/mcpServers/github");
  process->mutable_process()->mutable_info()->set_host("host-1");
  process->mutable_process()->mutable_info()->set_pid(42);
  process->set_held_version(outdated > 0 ? version - 1 : version);
  process->set_state(outdated > 0 ? v1::ROLLOUT_STATE_OUTDATED : v1::ROLLOUT_STATE_CURRENT);
  rollout.add_mcp_servers("orgs/dev/mcpServers/github");
  rollout.add_mcp_servers("orgs/dev/teams/eng/mcpServers/github");
  return rollout;
}

// What is said of MakeRollout(_, 1, 2) where nothing is asked.
std::string Affected(const std::string& id) {
  return absl::StrCat("These MCP servers bind ", id,
                      ": orgs/dev/mcpServers/github, orgs/dev/teams/eng/mcpServers/github\n"
                      "Processes that run with it now: 3\n");
}

TEST_F(RunTest, ARolloutIsShownAndFollowedToItsEnd) {
  server_->SetRollouts({MakeRollout(2, 1, 2)});
  EXPECT_EQ(Keyferry("credential rollout GITHUB_TOKEN"), 0) << error_;
  EXPECT_THAT(output_, AllOf(HasSubstr("host-1"), HasSubstr("42"), HasSubstr("OUTDATED"),
                             HasSubstr("1 of 3 on version 2; 2 not shown.")));
  EXPECT_EQ(Keyferry("-o json credential rollout GITHUB_TOKEN"), 0) << error_;
  EXPECT_EQ(Json()["outdatedCount"], 2);
  server_->SetRollouts({MakeRollout(2, 0, 1), MakeRollout(2, 1, 0)});
  EXPECT_EQ(Keyferry("-o json credential rollout GITHUB_TOKEN --team eng --watch"), 0) << error_;
  const size_t line = output_.find('\n');
  ASSERT_NE(line, std::string::npos);
  EXPECT_EQ(nlohmann::json::parse(output_.substr(0, line))["outdatedCount"], 1);
  EXPECT_EQ(nlohmann::json::parse(output_.substr(line))["name"], "orgs/dev/teams/eng/credentials/GITHUB_TOKEN");
}

TEST_F(RunTest, ARotationSaysWhoIsStillOnTheOldVersion) {
  EXPECT_EQ(Keyferry("credential rotate A", "v"), 0) << error_;
  EXPECT_EQ(error_, "");
  server_->SetRollouts({MakeRollout(2, 1, 2)});
  EXPECT_EQ(Keyferry("-o json credential rotate A --team eng", "v"), 0) << error_;
  EXPECT_EQ(Json()["version"], "2");
  EXPECT_EQ(error_, absl::StrCat(Affected("A"),
                                 "note: 2 processes are still on an older version; follow with `keyferry credential "
                                 "rollout A --team eng --watch`\n"));
}

TEST_F(RunTest, AChangeSaysBeforehandWhomItAffects) {
  server_->SetRollouts({MakeRollout(2, 1, 2)});
  for (const char* line : {"credential delete A --yes", "credential rollback A"}) {
    EXPECT_EQ(Keyferry(line), 0) << line;
    EXPECT_EQ(error_, Affected("A")) << line;
  }
  // Before a value is looked at.
  EXPECT_EQ(Keyferry("credential rotate A", ""), 65);
  EXPECT_TRUE(absl::StartsWith(error_, Affected("A"))) << error_;
  input_is_terminal_ = true;
  EXPECT_EQ(Keyferry("credential delete A --yes"), 0);
  EXPECT_EQ(error_, Affected("A")) << "nothing is asked";
}

TEST_F(RunTest, AChangeOfManySaysBeforehandWhomItAffects) {
  const std::string affected =
      "Processes that run with one of these credentials now: 1, of orgs/dev/mcpServers/github\n";
  const std::string held = "HELD=v\nHELD_TOO=v\nOTHER=v\n";
  EXPECT_EQ(Keyferry("credential rotate-many -f -", held), 0) << error_;
  EXPECT_EQ(error_, affected);
  EXPECT_EQ(Keyferry("credential import --on-conflict rotate -f -", held), 0) << error_;
  EXPECT_EQ(error_, affected);
  for (const char* line : {"credential import -f -", "credential rotate-many --team eng -f -"}) {
    EXPECT_EQ(Keyferry(line, held), 0) << error_;
    EXPECT_EQ(error_, "") << line;
  }
  // Not to find out stops nothing.
  server_->Fail(grpc::StatusCode::PERMISSION_DENIED, "no", nullptr, /*times=*/1);
  EXPECT_EQ(Keyferry("credential rotate-many -f -", "HELD=last"), 0) << error_;
  EXPECT_EQ(error_, "");
  EXPECT_EQ(server_->Value("orgs/dev/credentials/HELD"), "last");
}

TEST_F(RunTest, ARotationSaysThatTheReminderHasPassed) {
  EXPECT_EQ(Keyferry("credential rotate OVERDUE", "v"), 0) << error_;
  EXPECT_THAT(error_, AllOf(StartsWith("note: its rotate-by date has passed: 2027-01-31;"), HasSubstr("--rotate-by")));
  for (const char* line : {"credential rotate OVERDUE --rotate-by none", "credential rotate A"}) {
    EXPECT_EQ(Keyferry(line, "v"), 0) << error_;
    EXPECT_EQ(error_, "") << line;
  }
}

// As of a shell's variable that is not set: it must not stand for no condition.
TEST_F(RunTest, AnEmptyEtagIsRefused) {
  const std::vector<std::vector<std::string>> commands = {
      {"update", "A", "--description", "d"}, {"rotate", "A"}, {"rollback", "A"}, {"delete", "A", "--yes"}};
  for (const std::vector<std::string>& command : commands) {
    std::vector<std::string> words = {"credential"};
    words.insert(words.end(), command.begin(), command.end());
    words.insert(words.end(), {"--etag", ""});
    EXPECT_EQ(Run(words, "v"), 64) << command[0];
    EXPECT_THAT(error_, StartsWith("keyferry: --etag: ")) << command[0];
  }
  EXPECT_TRUE(server_->Requests().empty());
}

TEST_F(RunTest, AStaleEtagIsTold) {
  v1::ErrorDetail detail;
  detail.set_reason("STALE_ETAG");
  detail.set_next_step("Read it again and repeat the change with the new etag.");
  for (const char* line : {"credential update A --description d --etag e", "credential delete A --yes --etag e"}) {
    server_->Fail(grpc::StatusCode::ABORTED, "orgs/dev/credentials/A: changed since its etag was read", &detail);
    EXPECT_EQ(Keyferry(line), 1) << line;
    EXPECT_THAT(error_, AllOf(HasSubstr("changed since its etag was read"), HasSubstr("Read it again"))) << line;
  }
}

TEST_F(RunTest, DeletionIsConfirmedOnATerminal) {
  input_is_terminal_ = true;
  server_->SetRollouts({MakeRollout(2, 1, 2)});
  EXPECT_EQ(Keyferry("credential delete GITHUB_TOKEN", "n\n"), 1);
  EXPECT_THAT(error_, AllOf(HasSubstr("These MCP servers bind GITHUB_TOKEN: orgs/dev/mcpServers/github, "
                                      "orgs/dev/teams/eng/mcpServers/github\n"),
                            HasSubstr("Processes that run with it now: 3\n"),
                            HasSubstr("  orgs/dev/mcpServers/github on host-1, pid 42\n  and others\n"),
                            HasSubstr("Delete orgs/dev/credentials/GITHUB_TOKEN"), HasSubstr("not confirmed")));
  EXPECT_THAT(server_->Requests(), Not(testing::Contains(StartsWith("DeleteCredentialRequest"))));
  EXPECT_EQ(Keyferry("credential delete GITHUB_TOKEN", ""), 1);
  EXPECT_EQ(Keyferry("credential delete GITHUB_TOKEN", "y\n"), 0) << error_;
  EXPECT_EQ(server_->Requests().back(), "DeleteCredentialRequest {name: \"orgs/dev/credentials/GITHUB_TOKEN\"}");
  EXPECT_EQ(Keyferry("org delete", "\n"), 1);
}

}  // namespace
}  // namespace keyferry::client::cli
