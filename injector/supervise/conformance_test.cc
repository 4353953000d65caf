// The same programs bare and supervised: whatever can be observed is the same.
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/supervise/testing/program.h"

namespace keyferry::injector {
namespace {

using testing::DataFile;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Outcome;
using testing::Program;
using testing::RunProgram;
using testing::Supervised;

using Command = std::vector<std::string>;

Command Probe(const std::string& action, const std::string& argument = "") {
  return {DataFile("injector/supervise/testing/probe"), action, argument};
}

// Every policy has another plan for the streams; MCP mode has lines of its own (rotation_test).
class ConformanceTest : public ::testing::TestWithParam<Command> {
 protected:
  Command Under(const Command& command) { return Supervised(command, GetParam()); }

  void ExpectSame(const Command& command, const std::string& input = "", const Program::Options& options = {}) {
    const Outcome bare = RunProgram(command, input, options);
    const Outcome supervised = RunProgram(Under(command), input, options);
    EXPECT_EQ(bare.output, supervised.output);
    EXPECT_EQ(bare.errors, supervised.errors);
    EXPECT_EQ(bare.status, supervised.status);
  }
};

TEST_P(ConformanceTest, ExitCodes) {
  for (int code : {0, 1, 2, 63, 64, 69, 77, 126, 127, 128, 143, 254, 255}) {
    ExpectSame(Probe("exit", std::to_string(code)));
  }
}

TEST_P(ConformanceTest, EndOfAChildThoughSuchEndsAreIgnored) {
  Program::Options options;
  options.prepare = [] { signal(SIGCHLD, SIG_IGN); };
  ExpectSame({"sh", "-c", "cat /proc/self/status | grep SigIgn; exit 5"}, "", options);
}

TEST_P(ConformanceTest, DeathBySignal) {
  for (int number = 1; number < NSIG; ++number) {
    if (number == SIGCHLD || number == SIGCONT || number == SIGURG || number == SIGWINCH || number == SIGSTOP ||
        number == SIGTSTP || number == SIGTTIN || number == SIGTTOU || number == 32 || number == 33) {
      continue;
    }
    const Outcome outcome = RunProgram(Under(Probe("die", std::to_string(number))));
    EXPECT_TRUE(WIFEXITED(outcome.status)) << number;
    EXPECT_EQ(WEXITSTATUS(outcome.status), 128 + number);
  }
}

TEST_P(ConformanceTest, NotRun) {
  EXPECT_EQ(WEXITSTATUS(RunProgram(Under({"/nonexistent/program"})).status), 127);
  EXPECT_EQ(WEXITSTATUS(RunProgram(Under({"/"})).status), 126);
}

TEST_P(ConformanceTest, WhatIsInherited) {
  Program::Options options;
  options.environment = {"PLAIN=value", "KEYFERRY_TOKEN=not for the command"};
  options.prepare = [] {
    umask(027);
    if (chdir("/") != 0) _exit(99);
    signal(SIGUSR1, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    sigset_t some;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR2);
    sigaddset(&some, SIGWINCH);
    sigprocmask(SIG_BLOCK, &some, nullptr);
    const struct rlimit core = {4096, 8192};
    setrlimit(RLIMIT_CORE, &core);
    const struct rlimit files = {300, 400};
    setrlimit(RLIMIT_NOFILE, &files);
  };
  ExpectSame(Probe("inherited"), "", options);
}

TEST_P(ConformanceTest, Descriptors) {
  Program::Options standard_only;
  standard_only.prepare = [] { close_range(3, ~0U, 0); };
  const Outcome bare = RunProgram(Probe("descriptors"), "", standard_only);
  Program::Options leaky;
  leaky.prepare = [] {
    if (dup2(open("/dev/null", O_RDONLY), 77) != 77) _exit(99);
  };
  EXPECT_EQ(RunProgram(Under(Probe("descriptors")), "", leaky).output, bare.output);
}

TEST_P(ConformanceTest, GroupAndSession) {
  Program::Options own_group;
  own_group.prepare = [] { setpgid(0, 0); };
  const std::unique_ptr<Program> program = Program::Start(
      Under({"sh", "-c", "read group; exec \"$0\" group $group", DataFile("injector/supervise/testing/probe")}),
      own_group);
  program->Write(absl::StrCat(program->pid(), "\n"));
  EXPECT_EQ(program->ReadLine(), "group 1 session 1");
}

TEST_P(ConformanceTest, BytesOfAllKinds) {
  std::string bytes;
  for (int i = 0; i < 300000; ++i) bytes.push_back(static_cast<char>(i * 2654435761u >> 24));
  ExpectSame({"cat"}, bytes);
  ExpectSame({"sh", "-c", "cat >&2"}, bytes);
}

TEST_P(ConformanceTest, EndOfInputAndNoInput) {
  ExpectSame({"wc", "-c"}, "");
  ExpectSame({"sh", "-c", "exec 0<&-; echo done"}, "unread");
  ExpectSame({"head", "-c", "3"}, "abcdef");
}

TEST_P(ConformanceTest, LargeTransfersBothWays) {
  const std::string large(32 << 20, 'x');
  const Outcome outcome = RunProgram(Under({"cat"}), large);
  EXPECT_EQ(outcome.output.size(), large.size());
  EXPECT_TRUE(outcome.output == large);
}

TEST_P(ConformanceTest, SlowReaderHoldsTheCommandBack) {
  // 64 MiB fit into no buffer on the way, nor into the bound below, which has room for what a sanitizer adds.
  const std::unique_ptr<Program> program =
      Program::Start(Under({"sh", "-c", "head -c 67108864 /dev/zero | tr '\\0' 'a'; echo; echo end >&2"}));
  usleep(300000);
  std::ifstream status(absl::StrCat("/proc/", program->pid(), "/status"));
  std::string line;
  while (std::getline(status, line)) {
    if (!absl::StartsWith(line, "VmRSS:")) continue;
    EXPECT_LT(std::stol(line.substr(6)), 40 * 1024) << line;
  }
  EXPECT_EQ(program->ErrorsSoFar(), "");
  EXPECT_EQ(program->ReadLine().size(), size_t{67108864});
  EXPECT_EQ(program->Finish(), 0);
}

TEST_P(ConformanceTest, ReaderThatGoesAway) {
  for (const Command& command : {Command{"yes"}, Under({"yes"})}) {
    const std::unique_ptr<Program> program = Program::Start(command);
    program->ReadLine();
    program->CloseOutput();
    const int status = program->Finish();
    // `yes` dies of SIGPIPE.
    EXPECT_TRUE(WIFSIGNALED(status) ? WTERMSIG(status) == SIGPIPE : WEXITSTATUS(status) == 128 + SIGPIPE) << status;
  }
}

TEST_P(ConformanceTest, SignalsArriveInOrder) {
  const std::unique_ptr<Program> program = Program::Start(Under(Probe("signals")));
  ASSERT_EQ(program->ReadLine(), "ready");
  for (int number : {SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGALRM, SIGPIPE, SIGIO, SIGPWR, SIGTSTP,
                     SIGTTIN, SIGURG, SIGABRT, SIGSEGV, 34, 50, 64}) {
    kill(program->pid(), number);
    EXPECT_EQ(program->ReadLine(), absl::StrCat("got ", number, " 0"));
  }
  union sigval value;
  value.sival_ptr = nullptr;
  value.sival_int = 4711;
  sigqueue(program->pid(), SIGRTMIN + 3, value);
  EXPECT_EQ(program->ReadLine(), absl::StrCat("got ", SIGRTMIN + 3, " 4711"));
  kill(program->pid(), SIGTERM);
  EXPECT_EQ(program->ReadLine(), absl::StrCat("got ", SIGTERM, " 0"));
  EXPECT_EQ(program->Finish(), 0);
}

TEST_P(ConformanceTest, StopAndContinue) {
  Program::Options own_group;
  own_group.prepare = [] { setpgid(0, 0); };
  const std::unique_ptr<Program> program = Program::Start(Under({"sh", "-c", "echo $$; exec sleep 100"}), own_group);
  const std::string child = program->ReadLine();
  kill(program->pid(), SIGTSTP);
  int status = 0;
  ASSERT_EQ(waitpid(program->pid(), &status, WUNTRACED), program->pid());
  ASSERT_TRUE(WIFSTOPPED(status));
  EXPECT_EQ(WSTOPSIG(status), SIGTSTP);
  kill(program->pid(), SIGCONT);
  ASSERT_EQ(waitpid(program->pid(), &status, WCONTINUED), program->pid());
  EXPECT_TRUE(WIFCONTINUED(status));
  kill(program->pid(), SIGTERM);
  EXPECT_EQ(WEXITSTATUS(program->Finish()), 128 + SIGTERM);
}

TEST_P(ConformanceTest, OrphansAreReaped) {
  const std::unique_ptr<Program> program = Program::Start(
      Under({"sh", "-c", "\"$0\" orphan; echo; read line", DataFile("injector/supervise/testing/probe")}));
  program->ReadLine();
  usleep(150000);
  const std::string path = absl::StrCat("/proc/", program->pid(), "/task/", program->pid(), "/children");
  std::string children;
  std::getline(std::ifstream(path), children);
  // The shell alone.
  EXPECT_EQ(std::count(children.begin(), children.end(), ' '), 1) << children;
  program->CloseInput();
  program->Finish();
}

TEST_P(ConformanceTest, KilledInjectorTakesTheCommandAlong) {
  const std::unique_ptr<Program> program = Program::Start(Under({"sh", "-c", "echo $$; exec sleep 100"}));
  const pid_t child = std::stoi(program->ReadLine());
  kill(program->pid(), SIGKILL);
  program->Finish();
  for (int i = 0; i < 200 && kill(child, 0) == 0; ++i) usleep(10000);
  EXPECT_NE(kill(child, 0), 0);
}

INSTANTIATE_TEST_SUITE_P(Policies, ConformanceTest,
                         ::testing::Values(Command{"--on-rotate=restart"}, Command{"--on-rotate=ignore"},
                                           Command{"--on-rotate=exit", "--no-redact"}));

TEST(Redaction, OfBothStreams) {
  Program::Options options;
  options.environment = {"KEYFERRY_TEST_FIRST=TOKEN=a-value-to-hide"};
  const Outcome outcome =
      RunProgram(Supervised({"sh", "-c", "echo \"out $TOKEN\"; echo \"err $TOKEN\" >&2; printf %s \"$TOKEN\" | base64"},
                            {"--on-rotate=restart"}),
                 "", options);
  EXPECT_THAT(outcome.output, HasSubstr("out [keyferry:TOKEN]\n"));
  EXPECT_THAT(outcome.errors, HasSubstr("err [keyferry:TOKEN]\n"));
  EXPECT_THAT(outcome.output, Not(HasSubstr("YS12YWx1ZS10by1oaWRl")));
  const Outcome open =
      RunProgram(Supervised({"sh", "-c", "echo \"out $TOKEN\""}, {"--on-rotate=restart", "--no-redact"}), "", options);
  EXPECT_EQ(open.output, "out a-value-to-hide\n");
}

}  // namespace
}  // namespace keyferry::injector
