// An agent and launchers that behave, or do not, over real sockets.
#include "injector/agent/agent.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/agent/control_socket.h"
#include "injector/agent/testing/raw_launcher.h"
#include "injector/agent/testing/test_agent.h"

namespace keyferry::injector::agent {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using testing::RawLauncher;
using testing::ScratchDirectory;
using ::testing::StartsWith;
using testing::TestAgent;

class AgentTest : public ::testing::Test {
 protected:
  std::string Directory(const std::string& name) const { return scratch_ / name; }
  void ServeTwo() {
    ASSERT_TRUE(agent_.Serve("a", Directory("a")).ok());
    ASSERT_TRUE(agent_.Serve("b", Directory("b")).ok());
    agent_.Give("a", {{"TOKEN", "of a"}}, 5);
    agent_.Give("b", {{"TOKEN", "of b"}}, 6);
  }

  ScratchDirectory scratch_;
  TestAgent agent_;
};

TEST_F(AgentTest, EachContainerGetsItsOwnAndItsChanges) {
  ServeTwo();
  RawLauncher a(Directory("a"));
  RawLauncher b(Directory("b"));
  ASSERT_TRUE(a.Hello() && b.Hello());
  EXPECT_EQ(a.Next(), "environment 5 TOKEN=of a");
  EXPECT_EQ(b.Next(), "environment 6 TOKEN=of b");
  agent_.Give("a", {{"TOKEN", "next"}}, 7);
  EXPECT_EQ(a.Next(), "environment 7 TOKEN=next");
  EXPECT_EQ(b.Peek(), "");
}

TEST_F(AgentTest, LaunchesWaitForAnEnvironmentOrFailWithItsError) {
  ASSERT_TRUE(agent_.Serve("a", Directory("a")).ok());
  RawLauncher waiting(Directory("a"));
  ASSERT_TRUE(waiting.Hello());
  EXPECT_THAT(waiting.Next(), StartsWith("notice 1 a: the server has not been reached yet"));
  agent_.Give("a", {{"A", "1"}}, 5);
  EXPECT_EQ(waiting.Next(), "environment 5 A=1");
  agent_.Stand("a", Standing::kRefused, {kConfiguration, "A has no value"});
  RawLauncher refused(Directory("a"));
  ASSERT_TRUE(refused.Hello());
  EXPECT_EQ(refused.Next(), "error 78 A has no value");
  EXPECT_EQ(refused.Next(), "end");
  EXPECT_EQ(waiting.Peek(), "") << "what runs goes on";
}

TEST_F(AgentTest, LaunchersAreToldThatValuesAreOnlyLastKnown) {
  ServeTwo();
  RawLauncher running(Directory("a"));
  ASSERT_TRUE(running.Hello());
  running.Next();
  agent_.Stand("a", Standing::kUnknown, {kUnavailable, "gone"});
  EXPECT_THAT(running.Next(), StartsWith("notice 2 the server cannot be asked"));
  RawLauncher late(Directory("a"));
  ASSERT_TRUE(late.Hello());
  EXPECT_EQ(late.Next(), "stale environment 5 TOKEN=of a");
  agent_.Stand("a", Standing::kCurrent);
  EXPECT_THAT(running.Next(), StartsWith("notice 3"));
  agent_.Stand("a", Standing::kUnknown, {kUnavailable, "gone"});
  agent_.Advance(absl::Hours(2));
  RawLauncher later(Directory("a"));
  ASSERT_TRUE(later.Hello());
  EXPECT_THAT(later.Next(), HasSubstr("older than --max-stale"));
}

TEST_F(AgentTest, WhatRunsIsReportedAndNothingElse) {
  ServeTwo();
  RawLauncher launcher(Directory("a"));
  ASSERT_TRUE(launcher.Hello());
  launcher.Next();
  ASSERT_TRUE(launcher.Confirm(5, 100));
  EXPECT_EQ(agent_.AwaitReport("5 100"), "5 100");
  for (const int64_t revision : {4, 6}) {
    RawLauncher liar(Directory("a"));
    ASSERT_TRUE(liar.Hello());
    liar.Next();
    ASSERT_TRUE(liar.Confirm(revision, 1));
    EXPECT_EQ(liar.Next(), "end");
  }
  EXPECT_TRUE(agent_.AwaitLog("container a: a launcher is dropped: it confirms what it was not sent"));
  EXPECT_EQ(agent_.LastReport(), "5 100");
}

TEST_F(AgentTest, ALauncherThatComesBackKeepsWhatItRunsWith) {
  ServeTwo();
  agent_.Stand("a", Standing::kRefused, {kNotPermitted, "revoked"});
  RawLauncher launcher(Directory("a"));
  ASSERT_TRUE(launcher.Hello(LaunchMode::kSupervise, /*running=*/3, /*pid=*/44));
  EXPECT_EQ(agent_.AwaitReport("3 44"), "3 44");
  EXPECT_EQ(launcher.Peek(), "") << "no value, and no error either";
  agent_.Give("a", {{"TOKEN", "again"}}, 9);
  EXPECT_EQ(launcher.Next(), "environment 9 TOKEN=again");
}

TEST_F(AgentTest, ALaunchThatBecomesItsCommandIsServedOnce) {
  ServeTwo();
  RawLauncher launcher(Directory("a"));
  ASSERT_TRUE(launcher.Hello(LaunchMode::kExec, 0, 55));
  EXPECT_EQ(launcher.Next(), "environment 5 TOKEN=of a");
  EXPECT_EQ(launcher.Next(), "end");
  EXPECT_EQ(agent_.AwaitReport("5 55"), "5 55");
}

TEST_F(AgentTest, AProbeIsServedAndStandsForNothing) {
  ServeTwo();
  RawLauncher command(Directory("a"));
  ASSERT_TRUE(command.Hello(LaunchMode::kExec, 0, 55));
  EXPECT_EQ(command.Next(), "environment 5 TOKEN=of a");
  EXPECT_EQ(agent_.AwaitReport("5 55"), "5 55");
  agent_.Give("a", {{"TOKEN", "newer"}}, 6);
  RawLauncher probe(Directory("a"));
  ASSERT_TRUE(probe.Hello(LaunchMode::kTransient, 0, 77));
  EXPECT_EQ(probe.Next(), "environment 6 TOKEN=newer");
  EXPECT_EQ(probe.Next(), "end");
  EXPECT_EQ(agent_.LastReport(), "5 55");
}

TEST_F(AgentTest, WhatWasNeverGivenOutIsNotReported) {
  ServeTwo();
  RawLauncher liar(Directory("a"));
  ASSERT_TRUE(liar.Hello(LaunchMode::kSupervise, /*running=*/900, /*pid=*/44));
  EXPECT_EQ(liar.Next(), "environment 5 TOKEN=of a");
  ASSERT_TRUE(liar.Confirm(900, 44));
  EXPECT_EQ(liar.Next(), "end");
  EXPECT_EQ(agent_.LastReport(), "");
}

TEST_F(AgentTest, GarbageEndsOnlyItsOwnConnection) {
  ServeTwo();
  RawLauncher good(Directory("a"));
  ASSERT_TRUE(good.Hello());
  good.Next();
  const std::string hello(HelloFrame(Hello()).Expose());
  const std::string confirm(ConfirmFrame({5, 1}).Expose());
  const std::vector<std::string> hostile = {std::string(4096, '\xff'),
                                            std::string(4, '\0'),
                                            std::string("\0\0\0\x01\x63", 5),
                                            confirm,
                                            hello + hello,
                                            hello + std::string("\0\0\4\1", 4),
                                            std::string("\0\0\0\2\1\0", 6),
                                            "GET / HTTP/1.1\r\n\r\n"};
  for (const std::string& bytes : hostile) {
    RawLauncher launcher(Directory("a"));
    launcher.Send(bytes);
    std::string next;
    while ((next = launcher.Next()) != "end") ASSERT_THAT(next, StartsWith("environment")) << "for a good hello only";
  }
  agent_.Give("a", {{"TOKEN", "still"}}, 8);
  EXPECT_EQ(good.Next(), "environment 8 TOKEN=still");
}

TEST_F(AgentTest, HalfMessagesAndSilenceHoldNobodyBack) {
  ServeTwo();
  const std::string hello(HelloFrame(Hello()).Expose());
  std::vector<std::unique_ptr<RawLauncher>> halves;
  for (size_t size = 0; size < 10; ++size) {
    halves.push_back(std::make_unique<RawLauncher>(Directory("a")));
    halves.back()->Send(hello.substr(0, size));
  }
  RawLauncher good(Directory("a"));
  ASSERT_TRUE(good.Hello());
  EXPECT_THAT(good.Next(), StartsWith("environment 5"));
  EXPECT_EQ(halves[3]->Next(), "end") << "it did not say hello in time";
  EXPECT_TRUE(agent_.AwaitLog("it did not say hello in time"));
}

TEST_F(AgentTest, AFloodIsCutOff) {
  ServeTwo();
  RawLauncher launcher(Directory("a"));
  ASSERT_TRUE(launcher.Hello());
  launcher.Next();
  bool taken = true;
  for (int i = 0; taken && i < 1000000; ++i) taken = launcher.Confirm(5, 1 + i % 2);
  EXPECT_FALSE(taken);
  EXPECT_TRUE(agent_.AwaitLog("it sends too many messages"));
}

// Each connection stays below its own limit.
TEST_F(AgentTest, AFloodOverManyConnectionsIsItsContainersAlone) {
  ServeTwo();
  RawLauncher other(Directory("b"));
  ASSERT_TRUE(other.Hello());
  EXPECT_EQ(other.Next(), "environment 6 TOKEN=of b");
  for (int i = 0; i < 100 && !absl::StrContains(agent_.Log(), "the container sends too many messages"); ++i) {
    RawLauncher launcher(Directory("a"));
    launcher.Hello();
    launcher.Next();
    for (int sent = 0; sent < 150 && launcher.Confirm(5, sent + 1); ++sent) {
    }
    // What is no message ends the connection once all before it was taken.
    launcher.Send(std::string(8, '\xff'));
    EXPECT_EQ(launcher.Next(), "end");
  }
  EXPECT_THAT(agent_.Log(), HasSubstr("container a: a launcher is dropped: the container sends too many messages"));
  agent_.Give("b", {{"TOKEN", "next"}}, 8);
  EXPECT_EQ(other.Next(), "environment 8 TOKEN=next");
  ASSERT_TRUE(other.Confirm(8, 900));
  EXPECT_EQ(agent_.AwaitReport("8 900"), "8 900");
}

TEST_F(AgentTest, ConnectionsThatComeTooFastWait) {
  ServeTwo();
  for (int i = 0; i < 1000 && !absl::StrContains(agent_.Log(), "too many connections in a short time"); ++i) {
    RawLauncher launcher(Directory("a"));
    launcher.Hello(LaunchMode::kTransient);
    launcher.Next();
  }
  EXPECT_THAT(agent_.Log(), HasSubstr("container a: too many connections in a short time; further ones wait"));
  RawLauncher waiting(Directory("a"));
  ASSERT_TRUE(waiting.Hello());
  RawLauncher other(Directory("b"));
  ASSERT_TRUE(other.Hello());
  EXPECT_EQ(other.Next(), "environment 6 TOKEN=of b");
  EXPECT_EQ(waiting.Next(), "environment 5 TOKEN=of a") << "in the end it is served";
}

TEST_F(AgentTest, WhoDoesNotReadIsDropped) {
  ServeTwo();
  RawLauncher launcher(Directory("a"));
  ASSERT_TRUE(launcher.Hello());
  // More than the socket holds.
  for (int i = 0; i < 8; ++i)
    agent_.Give("a", {{"TOKEN", std::string(60000 + i, 'x')}, {"B", std::string(900000, 'y')}}, 10 + i);
  EXPECT_TRUE(agent_.AwaitLog("it does not read what it is sent"));
}

TEST_F(AgentTest, ConnectionsAreBounded) {
  ServeTwo();
  std::vector<std::unique_ptr<RawLauncher>> launchers;
  int served = 0;
  for (int i = 0; i < 40; ++i) {
    launchers.push_back(std::make_unique<RawLauncher>(Directory("a")));
    launchers.back()->Hello();
    served += absl::StartsWith(launchers.back()->Next(), "environment") ? 1 : 0;
  }
  EXPECT_EQ(served, 16);
  RawLauncher other(Directory("b"));
  ASSERT_TRUE(other.Hello());
  EXPECT_THAT(other.Next(), StartsWith("environment 6")) << "another container does not notice";
  launchers.clear();
  RawLauncher after(Directory("a"));
  EXPECT_TRUE(agent_.AwaitLog("too many connections"));
}

TEST_F(AgentTest, OnlyTheUserOfTheContainerIsServed) {
  ASSERT_TRUE(agent_.Serve("own", Directory("own"), getuid()).ok());
  ASSERT_TRUE(agent_.Serve("other", Directory("other"), getuid() + 1).ok());
  agent_.Give("own", {{"A", "1"}}, 5);
  agent_.Give("other", {{"A", "2"}}, 5);
  RawLauncher own(Directory("own"));
  ASSERT_TRUE(own.Hello());
  EXPECT_EQ(own.Next(), "environment 5 A=1");
  RawLauncher other(Directory("other"));
  other.Hello();
  EXPECT_THAT(other.Next(), AnyOf(StartsWith("error 77 this socket serves user"), "end"));
  EXPECT_TRUE(agent_.AwaitLog("is refused; the container's user is"));
}

TEST_F(AgentTest, ModesLetInWhoIsMeant) {
  ASSERT_TRUE(agent_.Serve("own", Directory("own"), getuid()).ok());
  ASSERT_TRUE(agent_.Serve("other", Directory("other"), getuid() + 1).ok());
  ASSERT_TRUE(agent_.Control(Directory("control")).ok());
  const auto mode = [&](const std::string& name) {
    struct stat found = {};
    EXPECT_EQ(lstat(Directory(name).c_str(), &found), 0) << name;
    return found.st_mode & 0777;
  };
  EXPECT_EQ(mode("own"), 0700u);
  EXPECT_EQ(mode("own/agent.sock"), 0600u);
  EXPECT_EQ(mode("other"), 0711u);
  EXPECT_EQ(mode("other/agent.sock"), 0666u);
  EXPECT_EQ(mode("control/control.sock"), 0600u);
}

TEST_F(AgentTest, DirectoriesThatAreNotOnesOwnAreRefused) {
  ASSERT_EQ(mkdir(Directory("real").c_str(), 0700), 0);
  ASSERT_EQ(symlink(Directory("real").c_str(), Directory("link").c_str()), 0);
  EXPECT_THAT(agent_.Serve("a", Directory("link")).message(), HasSubstr("not a symbolic link"));
  std::ofstream(Directory("file")) << "text";
  EXPECT_TRUE(absl::IsInvalidArgument(agent_.Serve("b", Directory("file"))));
  std::ofstream(Directory("real/agent.sock")) << "text";
  EXPECT_THAT(agent_.Serve("c", Directory("real")).message(), HasSubstr("not a socket"));
  struct stat found = {};
  EXPECT_EQ(lstat(Directory("real/agent.sock").c_str(), &found), 0) << "it is not removed";
  ASSERT_EQ(unlink(Directory("real/agent.sock").c_str()), 0);
  ASSERT_EQ(symlink("/etc/passwd", Directory("real/agent.sock").c_str()), 0);
  EXPECT_THAT(agent_.Serve("d", Directory("real")).message(), HasSubstr("not a socket"));
  ASSERT_TRUE(agent_.Serve("e", Directory("one")).ok());
  EXPECT_THAT(agent_.Share("e", "f", Directory("./one")).message(), HasSubstr("share a directory"));
}

TEST_F(AgentTest, AStaleSocketIsReplacedAndAServedOneIsNot) {
  ServeTwo();
  TestAgent second;
  EXPECT_TRUE(absl::IsUnavailable(second.Serve("a", Directory("a"))));
  {
    TestAgent third;
    ASSERT_TRUE(third.Serve("c", Directory("c")).ok());
    // The socket of an agent that was killed: moved away and back, so that its end does not remove it.
    ASSERT_EQ(rename(Directory("c/agent.sock").c_str(), Directory("kept").c_str()), 0);
  }
  ASSERT_EQ(rename(Directory("kept").c_str(), Directory("c/agent.sock").c_str()), 0);
  ASSERT_TRUE(second.Serve("c", Directory("c")).ok());
  second.Give("c", {{"A", "1"}}, 5);
  RawLauncher launcher(Directory("c"));
  ASSERT_TRUE(launcher.Hello());
  EXPECT_EQ(launcher.Next(), "environment 5 A=1");
}

TEST_F(AgentTest, ProbesSayWhetherALaunchWouldBeAnswered) {
  ASSERT_TRUE(agent_.Control(Directory("control")).ok());
  ASSERT_TRUE(agent_.Serve("a", Directory("a")).ok());
  const auto ask = [&](Probe probe) { return AskAgent(Directory("control"), probe, absl::Seconds(30)); };
  EXPECT_EQ(ask(Probe::kLive).exit_code, 0);
  EXPECT_EQ(ask(Probe::kReady).exit_code, 69);
  EXPECT_THAT(ask(Probe::kReady).message, HasSubstr("container a: a: the server has not been reached yet"));
  agent_.Give("a", {{"A", "secret value"}}, 5);
  EXPECT_EQ(ask(Probe::kReady).exit_code, 0);
  EXPECT_THAT(ask(Probe::kReady).message, ::testing::Not(HasSubstr("secret")));
  agent_.Stand("a", Standing::kRefused, {kNotPermitted, "revoked"});
  EXPECT_EQ(ask(Probe::kReady).exit_code, 0) << "a launch is answered: with that error";
  agent_.Drain(absl::Seconds(60));
  EXPECT_EQ(ask(Probe::kReady).exit_code, 69);
  EXPECT_EQ(AskAgent(Directory("nowhere"), Probe::kLive, absl::Seconds(1)).exit_code, 69);
}

TEST_F(AgentTest, DrainWaitsForCommandsThatRun) {
  ServeTwo();
  auto launcher = std::make_unique<RawLauncher>(Directory("a"));
  ASSERT_TRUE(launcher->Hello());
  launcher->Next();
  agent_.Drain(absl::Hours(1));
  EXPECT_EQ(launcher->Next(), "drain");
  EXPECT_FALSE(agent_.ended());
  RawLauncher late(Directory("b"));
  ASSERT_TRUE(late.Hello(LaunchMode::kExec));
  EXPECT_THAT(late.Next(), StartsWith("environment 6")) << "it serves on until then";
  launcher.reset();
  while (!agent_.ended()) usleep(1000);
}

TEST_F(AgentTest, DrainEndsAfterItsGrace) {
  ServeTwo();
  RawLauncher launcher(Directory("a"));
  ASSERT_TRUE(launcher.Hello());
  launcher.Next();
  agent_.Drain(absl::Milliseconds(1));
  while (!agent_.ended()) usleep(1000);
  EXPECT_TRUE(agent_.AwaitLog("commands that still run go on without the agent: 1"));
}

}  // namespace
}  // namespace keyferry::injector::agent
