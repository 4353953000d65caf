// What happens to a running MCP server when its environment changes.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/supervise/testing/rotation_fixture.h"

namespace keyferry::injector {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

using testing::RotationTest;

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
  const std::string process = Call(1, "who").substr(2);
  SendCall(2, "die", "42");
  const int status = program_->Finish();
  EXPECT_EQ(WEXITSTATUS(status), 42);
  EXPECT_THAT(program_->errors(), HasSubstr(absl::StrCat(": process ", process, " ended with 1 requests unanswered")));
}

TEST_F(RotationTest, CrashWhileReplacedGoesOn) {
  LaunchServer({"--initialize-timeout=20s"});
  const pid_t first = std::stoi(Call(1, "who").substr(2));
  Change("GENERATION=2");
  program_->AwaitError("is starting");
  kill(first, SIGKILL);
  AwaitGeneration("2");
  const std::string second = Call(2, "who").substr(2);
  EXPECT_EQ(WEXITSTATUS(EndOfInput()), 5);
  EXPECT_THAT(program_->errors(), HasSubstr(absl::StrCat(": process ", second, " has taken over")));
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
