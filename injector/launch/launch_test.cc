// The installed launcher with an agent: what its command gets, and when it gets none.
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/agent/testing/test_agent.h"
#include "injector/supervise/testing/program.h"

namespace keyferry::injector::launch {
namespace {

using testing::DataFile;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Outcome;
using testing::Program;
using testing::RunProgram;
using testing::ScratchDirectory;
using ::testing::StartsWith;
using testing::TestAgent;

using Words = std::vector<std::string>;

class LaunchTest : public ::testing::Test {
 protected:
  LaunchTest() { StartAgent(); }

  void StartAgent() {
    agent_ = std::make_unique<TestAgent>();
    ASSERT_TRUE(agent_->Serve("a", scratch_ / "a").ok());
  }
  Words Command(const Words& options, const Words& command) const {
    Words words = {DataFile("injector/keyferry-launch"), "--socket", scratch_ / "a/agent.sock"};
    words.insert(words.end(), options.begin(), options.end());
    if (!command.empty()) words.push_back("--");
    words.insert(words.end(), command.begin(), command.end());
    return words;
  }
  Outcome Launch(const Words& options, const Words& command) const { return RunProgram(Command(options, command)); }

  ScratchDirectory scratch_;
  std::unique_ptr<TestAgent> agent_;
};

TEST_F(LaunchTest, TheCommandGetsTheEnvironmentAndPrintsNoValue) {
  agent_->Give("a", {{"SECRET", "a long enough value"}, {"STEP", "s1"}}, 5);
  setenv("KEYFERRY_AGENT_SOCKET", "/nowhere", 1);
  const Outcome outcome = Launch({"--on-rotate=restart"}, {"sh", "-c", "echo $STEP $SECRET; env; exit 3"});
  unsetenv("KEYFERRY_AGENT_SOCKET");
  EXPECT_EQ(WEXITSTATUS(outcome.status), 3);
  EXPECT_THAT(outcome.output, StartsWith("s1 [keyferry:SECRET]\n"));
  EXPECT_THAT(outcome.output, Not(HasSubstr("long enough")));
  EXPECT_THAT(outcome.output, Not(HasSubstr("KEYFERRY_")));
  EXPECT_THAT(outcome.errors, HasSubstr("keyferry-launch: values shorter than 8 bytes"));
}

TEST_F(LaunchTest, ExecBecomesTheCommand) {
  agent_->Give("a", {{"SECRET", "a long enough value"}}, 5);
  const auto program = Program::Start(Command({"--exec"}, {"sh", "-c", "echo $$ $SECRET; ls /proc/$$/fd"}));
  const std::string pid = absl::StrCat(program->pid());
  EXPECT_EQ(program->ReadLine(), pid + " a long enough value");
  EXPECT_EQ(WEXITSTATUS(program->Finish()), 0);
  EXPECT_THAT(program->output(), Not(HasSubstr("3"))) << "no descriptor of the launcher's";
  EXPECT_EQ(agent_->AwaitReport("5 " + pid), "5 " + pid);
}

class RotationLaunchTest : public LaunchTest {
 protected:
  void LaunchServer() {
    program_ = Program::Start(Command({"--debounce=0"}, {DataFile("injector/supervise/testing/scripted_server")}));
    Send(
        "\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-06-18\",\"capabilities\":{},"
        "\"clientInfo\":{\"name\":\"test\",\"version\":\"1\"}}");
    EXPECT_THAT(program_->ReadLine(), HasSubstr("\"id\":0"));
    Send("\"method\":\"notifications/initialized\"");
  }
  void Send(const std::string& members) { program_->Write(absl::StrCat("{\"jsonrpc\":\"2.0\",", members, "}\n")); }
  // "GENERATION PID" of the process that answers.
  std::string Who() {
    Send(absl::StrCat("\"id\":", ++id_, ",\"method\":\"tools/call\",\"params\":{\"name\":\"who\"}"));
    const std::string mark = "\"text\":\"";
    while (true) {
      const std::string line = program_->ReadLine();
      const size_t at = line.find(mark);
      if (line.empty()) return "the end";
      if (at != std::string::npos)
        return line.substr(at + mark.size(), line.find('"', at + mark.size()) - at - mark.size());
    }
  }
  void AwaitGeneration(const std::string& generation) {
    for (int i = 0; i < 4000; ++i) {
      if (absl::StartsWith(Who(), generation + " ")) return;
      usleep(5000);
    }
    FAIL() << "no process has generation " << generation << "\n" << program_->ErrorsSoFar();
  }

  std::unique_ptr<Program> program_;
  int id_ = 0;
};

TEST_F(RotationLaunchTest, AChangeMovesTheSessionAndIsConfirmed) {
  agent_->Give("a", {{"GENERATION", "1"}}, 5);
  LaunchServer();
  const std::string first = Who();
  EXPECT_EQ(agent_->AwaitReport("5 " + first.substr(2)), "5 " + first.substr(2));
  agent_->Give("a", {{"GENERATION", "2"}}, 9);
  AwaitGeneration("2");
  const std::string second = Who();
  EXPECT_EQ(agent_->AwaitReport("9 " + second.substr(2)), "9 " + second.substr(2));
  program_->CloseInput();
  program_->Finish();
}

TEST_F(RotationLaunchTest, AnAgentThatIsStartedAgainIsFoundAgain) {
  agent_->Give("a", {{"GENERATION", "1"}}, 5);
  LaunchServer();
  const std::string first = Who();
  agent_.reset();
  program_->AwaitError("the agent is gone");
  EXPECT_EQ(Who(), first);
  StartAgent();
  agent_->Give("a", {{"GENERATION", "1"}}, 5);
  program_->AwaitError("the agent is back");
  EXPECT_EQ(agent_->AwaitReport("5 " + first.substr(2)), "5 " + first.substr(2)) << "what runs is known again";
  EXPECT_EQ(Who(), first) << "the same values are no reason to restart";
  agent_->Give("a", {{"GENERATION", "2"}}, 8);
  AwaitGeneration("2");
  // A store that was restored counts from elsewhere.
  agent_.reset();
  StartAgent();
  agent_->Give("a", {{"GENERATION", "3"}}, 2);
  AwaitGeneration("3");
  program_->CloseInput();
  program_->Finish();
}

TEST_F(LaunchTest, ItWaitsForTheSocketAndForTheEnvironment) {
  agent_.reset();
  const auto program = Program::Start(Command({"--on-rotate=restart"}, {"sh", "-c", "echo $STEP"}));
  StartAgent();
  agent_->Give("a", {{"STEP", "s1"}}, 5);
  EXPECT_EQ(program->ReadLine(), "s1");
  program->Finish();
}

TEST_F(LaunchTest, FailuresHaveTheirExitCodes) {
  const auto code = [&](const Words& options, const Words& command, const std::string& text) {
    const Outcome outcome = Launch(options, command);
    EXPECT_THAT(outcome.errors, HasSubstr(text));
    EXPECT_EQ(outcome.output, "");
    return WEXITSTATUS(outcome.status);
  };
  EXPECT_EQ(code({"--startup-timeout=1s"}, {"true"}, "a: the server has not been reached yet"), 69);
  agent_->Stand("a", Standing::kRefused, {kNotPermitted, "revoked"});
  EXPECT_EQ(code({}, {"true"}, "keyferry-launch: revoked"), 77);
  agent_->Stand("a", Standing::kRefused, {kConfiguration, "TOKEN has no value"});
  EXPECT_EQ(code({}, {"true"}, "TOKEN has no value"), 78);
  agent_->Give("a", {{"LD_PRELOAD", "x"}}, 5);
  EXPECT_EQ(code({}, {"true"}, "LD_PRELOAD"), 78);
  EXPECT_EQ(code({"--exec"}, {"true"}, "LD_PRELOAD"), 78);
  agent_->Give("a", {{"A", "1"}}, 6);
  EXPECT_EQ(code({}, {"/nowhere/command"}, "/nowhere/command"), 127);
  EXPECT_EQ(code({"--exec"}, {"/nowhere/command"}, "/nowhere/command"), 127);
  EXPECT_EQ(code({"--exec"}, {"/etc/passwd"}, "/etc/passwd"), 126);
  EXPECT_EQ(code({}, {}, "what is to be run?"), 64);
  agent_.reset();
  EXPECT_EQ(code({"--startup-timeout=1s"}, {"true"}, "the agent cannot be reached at"), 69);
}

TEST_F(LaunchTest, LastKnownValuesAreNamedAsSuch) {
  agent_->Give("a", {{"STEP", "s1"}}, 5);
  agent_->Stand("a", Standing::kUnknown, {kUnavailable, "gone"});
  const Outcome outcome = Launch({"--on-rotate=restart"}, {"sh", "-c", "echo $STEP"});
  EXPECT_EQ(outcome.output, "s1\n");
  EXPECT_THAT(outcome.errors, HasSubstr("the values are the last that the agent knew"));
}

}  // namespace
}  // namespace keyferry::injector::launch
