// What happens to running commands when their environment changes.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/supervise/testing/program.h"

namespace keyferry::injector {
namespace {

using testing::DataFile;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Program;
using ::testing::StartsWith;
using testing::Supervised;

using Command = std::vector<std::string>;

// A command under supervision whose environment the test changes.
class RotationTest : public ::testing::Test {
 protected:
  RotationTest() {
    static int count = 0;
    directory_ = absl::StrCat(getenv("TEST_TMPDIR"), "/", getpid(), "-", ++count);
    mkdir(directory_.c_str(), 0700);
    mkfifo((directory_ + "/control").c_str(), 0600);
    // Both ends, so that neither side waits for the other.
    control_ = open((directory_ + "/control").c_str(), O_RDWR | O_CLOEXEC);
  }
  ~RotationTest() override {
    if (HasFailure() && program_ != nullptr) fprintf(stderr, "standard error:\n%s", program_->ErrorsSoFar().c_str());
    close(control_);
  }

  void Launch(const Command& command, const Command& options, const std::string& first) {
    Program::Options how;
    how.environment = {absl::StrCat("KEYFERRY_TEST_CONTROL=", directory_, "/control"),
                       absl::StrCat("KEYFERRY_TEST_REPORT=", directory_, "/report"),
                       absl::StrCat("KEYFERRY_TEST_FIRST=", first)};
    program_ = Program::Start(Supervised(command, options), how);
  }

  void LaunchServer(const Command& options, const std::string& first = "GENERATION=1") {
    Command all = {"--debounce=0"};
    all.insert(all.end(), options.begin(), options.end());
    Launch({DataFile("injector/supervise/testing/scripted_server")}, all, first);
    Send(
        "{\"jsonrpc\":\"2.0\",\"id\":\"init\",\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-06-18\","
        "\"capabilities\":{\"sampling\":{}},\"clientInfo\":{\"name\":\"test\",\"version\":\"1\"}}}");
    EXPECT_THAT(Receive(), HasSubstr("\"id\":\"init\""));
    Send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}");
  }

  void Change(const std::string& environment) {
    const std::string line = environment + "\n";
    ASSERT_EQ(write(control_, line.data(), line.size()), static_cast<ssize_t>(line.size()));
  }

  void Send(const std::string& line) { program_->Write(line + "\n"); }
  // The next line that is not a list_changed notification.
  std::string Receive() {
    while (true) {
      std::string line = program_->ReadLine();
      if (!absl::StrContains(line, "list_changed")) return line;
      ++list_changed_;
    }
  }
  void SendCall(int id, const std::string& tool, const std::string& argument = "") {
    Send(absl::StrCat("{\"jsonrpc\":\"2.0\",\"id\":", id, ",\"method\":\"tools/call\",\"params\":{\"name\":\"", tool,
                      "\",\"argument\":\"", argument, "\"}}"));
  }
  // The text that the tool answered with.
  std::string Call(int id, const std::string& tool, const std::string& argument = "") {
    SendCall(id, tool, argument);
    return Text(Receive(), id);
  }
  static std::string Text(const std::string& line, int id) {
    EXPECT_THAT(line, HasSubstr(absl::StrCat("\"id\":", id, ",")));
    const std::string mark = "\"text\":\"";
    const size_t at = line.find(mark);
    if (at == std::string::npos) return line;
    return line.substr(at + mark.size(), line.find('"', at + mark.size()) - at - mark.size());
  }
  // Asks until a process of that generation answers.
  void AwaitGeneration(const std::string& generation) {
    for (int i = 0; i < 2000; ++i) {
      if (absl::StartsWith(Call(1000 + i, "who"), generation + " ")) return;
      usleep(5000);
    }
    FAIL() << "no process has generation " << generation;
  }
  static void Count(const std::string& line, std::map<int, int>& answers) {
    const size_t at = line.find("\"id\":") + 5;
    ++answers[std::stoi(line.substr(at))];
  }
  // As AwaitGeneration, while answers to other calls come in.
  void AwaitGenerationCounting(int generation, std::map<int, int>& answers) {
    for (int id = 1000;; ++id) {
      SendCall(id, "who");
      std::string line;
      while (!absl::StrContains(line = Receive(), absl::StrCat("\"id\":", id, ","))) Count(line, answers);
      if (absl::StartsWith(Text(line, id), absl::StrCat(generation, " "))) return;
      usleep(2000);
    }
  }
  std::string Reports() {
    std::ifstream file(directory_ + "/report");
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  // Without reading anything.
  bool EndsWithin(absl::Duration time) {
    const absl::Time end = absl::Now() + time;
    while (absl::Now() < end) {
      std::ifstream file(absl::StrCat("/proc/", program_->pid(), "/stat"));
      const std::string stat((std::istreambuf_iterator<char>(file)), {});
      if (absl::StrContains(stat, ") Z ")) return true;
      usleep(5000);
    }
    return false;
  }
  int EndOfInput() {
    program_->CloseInput();
    return program_->Finish();
  }

  std::string directory_;
  int control_;
  std::unique_ptr<Program> program_;
  int list_changed_ = 0;
};

TEST_F(RotationTest, PassesMessagesAndExitCodeOn) {
  LaunchServer({});
  EXPECT_THAT(Call(1, "who"), StartsWith("1 "));
  const int status = EndOfInput();
  EXPECT_EQ(WEXITSTATUS(status), 5);
  EXPECT_THAT(program_->errors(), HasSubstr("server 1 "));
}

TEST_F(RotationTest, OverlapLetsTheOldProcessFinish) {
  LaunchServer({});
  SendCall(1, "slow", "1500");
  Change("GENERATION=2");
  AwaitGeneration("2");
  EXPECT_THAT(Text(Receive(), 1), StartsWith("1 "));
  EXPECT_EQ(list_changed_, 1);
  const std::string reports = Reports();
  EXPECT_EQ(std::count(reports.begin(), reports.end(), '\n'), 2) << reports;
  EXPECT_THAT(Call(3, "who"), StartsWith("2 "));
  EXPECT_EQ(WEXITSTATUS(EndOfInput()), 5);
}

TEST_F(RotationTest, DrainTimeoutAnswersWithAnError) {
  LaunchServer({"--drain-timeout=200ms"});
  SendCall(1, "slow", "60000");
  Change("GENERATION=2");
  AwaitGeneration("2");
  EXPECT_THAT(Receive(), HasSubstr("\"error\""));
  EndOfInput();
}

TEST_F(RotationTest, SerialStopsTheOldProcessFirst) {
  LaunchServer({"--rotation=serial"});
  SendCall(1, "slow", "300");
  Change("GENERATION=2");
  usleep(150000);
  SendCall(2, "who");
  EXPECT_THAT(Text(Receive(), 1), StartsWith("1 "));
  EXPECT_THAT(Text(Receive(), 2), StartsWith("2 "));
  EndOfInput();
  const std::string& errors = program_->errors();
  EXPECT_LT(errors.find("is stopped and started again"), errors.find("server 2 "));
}

TEST_F(RotationTest, SerialFallsBackToTheLastThatWorked) {
  LaunchServer({"--rotation=serial"});
  Change("GENERATION=2 MODE=refuse");
  program_->AwaitError("from before the change");
  EXPECT_THAT(Call(1, "who"), StartsWith("1 "));
  // What has just failed is not tried again at once.
  program_->AwaitError("the next try is in 10s");
  const std::string who = Call(2, "who");
  usleep(300000);
  EXPECT_EQ(Call(3, "who"), who);
  EndOfInput();
}

TEST_F(RotationTest, ReplacementThatFailsLeavesTheOldProcess) {
  LaunchServer({"--initialize-timeout=300ms"});
  for (const char* mode : {"hang", "refuse", "exit"}) {
    Change(absl::StrCat("GENERATION=2 MODE=", mode));
    program_->AwaitError("the next try is in");
    EXPECT_THAT(Call(1, "who"), StartsWith("1 ")) << mode;
  }
  Change("GENERATION=3");
  AwaitGeneration("3");
  EXPECT_EQ(WEXITSTATUS(EndOfInput()), 5);
}

TEST_F(RotationTest, StormIsCoalescedAndTheNewestWins) {
  LaunchServer({});
  for (int i = 2; i <= 200; ++i) Change(absl::StrCat("GENERATION=", i));
  AwaitGeneration("200");
  EndOfInput();
  const std::string& errors = program_->errors();
  size_t starts = 0;
  for (size_t at = 0; (at = errors.find("server ", at)) != std::string::npos; ++at) ++starts;
  EXPECT_LT(starts, size_t{50});
  EXPECT_GE(starts, size_t{2});
}

TEST_F(RotationTest, EveryCallIsAnsweredOnceThroughManyRotations) {
  LaunchServer({});
  std::map<int, int> answers;
  int next = 10000;
  for (int generation = 2; generation <= 20; ++generation) {
    Change(absl::StrCat("GENERATION=", generation));
    for (int i = 0; i < 20; ++i) SendCall(next++, i % 3 == 0 ? "slow" : "who", "30");
    AwaitGenerationCounting(generation, answers);
  }
  while (answers.size() < static_cast<size_t>(next - 10000)) Count(Receive(), answers);
  for (const auto& [id, count] : answers) EXPECT_EQ(count, 1) << id;
  EndOfInput();
}

TEST_F(RotationTest, AnswersOfTheClientGoToTheProcessThatAsked) {
  LaunchServer({});
  SendCall(1, "ask");
  const std::string first = Receive();
  Change("GENERATION=2");
  program_->AwaitError("has taken over");
  SendCall(2, "ask");
  const std::string second = Receive();
  const auto answer = [this](const std::string& request, const std::string& text) {
    const size_t at = request.find("\"id\":") + 5;
    const std::string id = request.substr(at, request.find_first_of(",}", at) - at);
    Send(absl::StrCat("{\"jsonrpc\":\"2.0\",\"id\":", id, ",\"result\":{\"answer\":\"", text, "\"}}"));
  };
  ASSERT_THAT(first, HasSubstr("sampling/createMessage"));
  ASSERT_THAT(second, HasSubstr("sampling/createMessage"));
  answer(second, "two");
  EXPECT_THAT(Text(Receive(), 2), ::testing::MatchesRegex("2 [0-9]+ got two"));
  answer(first, "one");
  EXPECT_THAT(Text(Receive(), 1), ::testing::MatchesRegex("1 [0-9]+ got one"));
  EndOfInput();
}

TEST_F(RotationTest, CrashEndsWithTheServersExitCode) {
  LaunchServer({});
  SendCall(1, "die", "42");
  const int status = program_->Finish();
  EXPECT_EQ(WEXITSTATUS(status), 42);
}

TEST_F(RotationTest, CrashWhileReplacedGoesOn) {
  LaunchServer({"--initialize-timeout=20s"});
  const pid_t first = std::stoi(Call(1, "who").substr(2));
  Change("GENERATION=2");
  program_->AwaitError("is starting");
  kill(first, SIGKILL);
  AwaitGeneration("2");
  EXPECT_EQ(WEXITSTATUS(EndOfInput()), 5);
}

TEST_F(RotationTest, SerialAnswersWhatTheClientSaidLast) {
  LaunchServer({"--rotation=serial"}, "GENERATION=1 MODE=finish");
  SendCall(1, "slow", "300");
  Change("GENERATION=2");
  program_->AwaitError("is stopped and started again");
  SendCall(2, "who");
  EndOfInput();
  EXPECT_THAT(program_->output(), HasSubstr("\"id\":1,\"result\""));
  EXPECT_THAT(program_->output(), HasSubstr("\"id\":2,\"result\""));
}

TEST_F(RotationTest, OverlapAnswersWhatTheClientSaidLast) {
  LaunchServer({}, "GENERATION=1 MODE=finish");
  SendCall(1, "slow", "1000");
  Change("GENERATION=2");
  program_->AwaitError("has taken over");
  EndOfInput();
  EXPECT_THAT(program_->output(), HasSubstr("\"id\":1,\"result\""));
}

TEST_F(RotationTest, StoppedServerGoesOnWhenItIsContinued) {
  LaunchServer({});
  const pid_t server = std::stoi(Call(1, "who").substr(2));
  kill(server, SIGSTOP);
  usleep(100000);
  kill(server, SIGCONT);
  EXPECT_THAT(Call(2, "who"), StartsWith("1 "));
  EndOfInput();
}

TEST_F(RotationTest, GarbageAndFloodsAreSurvived) {
  LaunchServer({}, "GENERATION=1 MODE=garbage");
  for (int i = 0; i < 200; ++i) EXPECT_THAT(Call(i, "who"), StartsWith("1 "));
  EndOfInput();
  EXPECT_THAT(program_->errors(), HasSubstr("keyferry-injector: "));
  EXPECT_THAT(program_->errors(), Not(HasSubstr("this is not JSON")));
}

TEST_F(RotationTest, StubbornProcessIsKilled) {
  LaunchServer({"--stop-timeout=200ms"}, "GENERATION=1 MODE=stubborn");
  const pid_t first = std::stoi(Call(1, "who").substr(2));
  Change("GENERATION=2");
  AwaitGeneration("2");
  for (int i = 0; i < 500 && kill(first, 0) == 0; ++i) usleep(10000);
  EXPECT_NE(kill(first, 0), 0);
  EndOfInput();
}

TEST_F(RotationTest, ValuesOfBothProcessesAreTakenOut) {
  LaunchServer({}, "GENERATION=1 TOKEN=the-first-token");
  EXPECT_EQ(Call(1, "token"), "[keyferry:TOKEN]");
  Change("GENERATION=2 TOKEN=the-second-token");
  AwaitGeneration("2");
  EXPECT_EQ(Call(2, "token"), "[keyferry:TOKEN]");
  EndOfInput();
  EXPECT_THAT(program_->errors(), Not(HasSubstr("-token")));
}

TEST_F(RotationTest, BigMessagesPass) {
  LaunchServer({});
  EXPECT_EQ(Call(1, "big", "20000000").size(), size_t{20000000});
  EndOfInput();
}

TEST_F(RotationTest, SameValuesChangeNothing) {
  LaunchServer({});
  const std::string before = Call(1, "who");
  Change("GENERATION=1");
  while (!absl::StrContains(Reports(), "2 ")) usleep(10000);
  EXPECT_EQ(Call(2, "who"), before);
  EndOfInput();
}

TEST_F(RotationTest, RestartGoesOnWithTheSameInput) {
  Launch({"sh", "-c", "echo \"start $GENERATION\"; while read line; do echo \"$GENERATION $line\"; done"},
         {"--on-rotate=restart", "--debounce=0"}, "GENERATION=1");
  EXPECT_EQ(program_->ReadLine(), "start 1");
  program_->Write("one\n");
  EXPECT_EQ(program_->ReadLine(), "1 one");
  Change("GENERATION=2");
  EXPECT_EQ(program_->ReadLine(), "start 2");
  program_->Write("two\n");
  EXPECT_EQ(program_->ReadLine(), "2 two");
  EXPECT_EQ(WEXITSTATUS(EndOfInput()), 0);
}

TEST_F(RotationTest, EndedWhileBeingRestartedIsNotStartedAgain) {
  Launch({"sh", "-c", "trap 'echo term; sleep 0.3; exit 7' TERM; echo ready; while :; do sleep 0.01; done"},
         {"--on-rotate=restart", "--debounce=0"}, "GENERATION=1");
  EXPECT_EQ(program_->ReadLine(), "ready");
  Change("GENERATION=2");
  EXPECT_EQ(program_->ReadLine(), "term");
  kill(program_->pid(), SIGTERM);
  EXPECT_EQ(WEXITSTATUS(program_->Finish()), 7);
}

TEST_F(RotationTest, SignalReachesTheCommand) {
  Launch({"sh", "-c", "trap 'echo hup' HUP; echo ready; while :; do sleep 0.01; done"},
         {"--on-rotate=signal:HUP", "--debounce=0"}, "GENERATION=1");
  EXPECT_EQ(program_->ReadLine(), "ready");
  Change("GENERATION=2");
  EXPECT_EQ(program_->ReadLine(), "hup");
}

TEST_F(RotationTest, SignalReachesTheCommandForARollbackToo) {
  Launch({"sh", "-c", "trap 'echo hup' HUP; echo ready; while :; do sleep 0.01; done"},
         {"--on-rotate=signal:HUP", "--debounce=0"}, "GENERATION=1");
  EXPECT_EQ(program_->ReadLine(), "ready");
  for (const char* generation : {"2", "1"}) {
    Change(absl::StrCat("GENERATION=", generation));
    EXPECT_EQ(program_->ReadLine(), "hup") << generation;
  }
}

TEST_F(RotationTest, ChangeAfterSigtermStartsNothing) {
  Launch({"sh", "-c", "trap 'echo term; sleep 0.5; exit 7' TERM; echo ready; while :; do sleep 0.01; done"},
         {"--on-rotate=restart", "--debounce=0"}, "GENERATION=1");
  EXPECT_EQ(program_->ReadLine(), "ready");
  kill(program_->pid(), SIGTERM);
  EXPECT_EQ(program_->ReadLine(), "term");
  Change("GENERATION=2");
  program_->AwaitError("was told to end");
  EXPECT_EQ(WEXITSTATUS(program_->Finish()), 7);
  EXPECT_EQ(program_->output(), "");
}

TEST_F(RotationTest, WhoDoesNotReadTheLastOutputHoldsNothingAfterSigterm) {
  for (const char* policy : {"--on-rotate=mcp", "--on-rotate=restart"}) {
    // More than the pipe to the reader takes, less than the injector holds: lines, so that MCP mode has them as well.
    Launch({"sh", "-c",
            "i=0; while [ $i -lt 1500 ]; do i=$((i + 1)); "
            "echo '{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"data\":"
            "\"0123456789012345678901234567890123456789\"}}'; done; exit 3"},
           {policy}, "GENERATION=1");
    EXPECT_FALSE(EndsWithin(absl::Seconds(1))) << policy;
    kill(program_->pid(), SIGTERM);
    EXPECT_TRUE(EndsWithin(absl::Seconds(10))) << policy;
    EXPECT_EQ(WEXITSTATUS(program_->Finish()), 3) << policy;
  }
}

TEST_F(RotationTest, ExitStopsTheCommand) {
  Launch({"sh", "-c", "echo ready; exec sleep 100"}, {"--on-rotate=exit", "--debounce=0"}, "GENERATION=1");
  EXPECT_EQ(program_->ReadLine(), "ready");
  Change("GENERATION=2");
  EXPECT_EQ(WEXITSTATUS(program_->Finish()), 0);
}

TEST_F(RotationTest, IgnoreDoesNothing) {
  Launch({"sh", "-c", "echo ready; read line; echo $GENERATION"}, {"--on-rotate=ignore", "--debounce=0"},
         "GENERATION=1");
  EXPECT_EQ(program_->ReadLine(), "ready");
  Change("GENERATION=2");
  program_->AwaitError("keeps what it has");
  program_->Write("\n");
  EXPECT_EQ(program_->ReadLine(), "1");
  EXPECT_EQ(WEXITSTATUS(program_->Finish()), 0);
}

TEST_F(RotationTest, UnusableEnvironmentIsRefused) {
  LaunchServer({});
  Change("GENERATION=2 LD_PRELOAD=evil.so");
  program_->AwaitError("LD_PRELOAD");
  EXPECT_THAT(Call(1, "who"), StartsWith("1 "));
  EXPECT_THAT(program_->ErrorsSoFar(), Not(HasSubstr("evil")));
  EndOfInput();
}

}  // namespace
}  // namespace keyferry::injector
