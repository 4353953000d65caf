#include "injector/exec/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::injector {
namespace {

using ::testing::HasSubstr;

std::string OutputPath() {
  const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
  return testing::TempDir() + "/" + test.name() + ".out";
}

// Runs `body` in a forked process whose standard output is OutputPath(); answers its exit code, or 128 + signal.
int InChild(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    const int output = open(OutputPath().c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(output, 1);
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string Output() {
  std::ifstream file(OutputPath());
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Environment Minimal() {
  Environment environment;
  environment.Append("PATH", "/usr/bin:/bin");
  environment.Append("GIVEN", "value");
  return environment;
}

int Replace(const std::vector<std::string>& command) {
  return ReplaceProcess(command, Minimal(), InheritedState::Capture());
}

TEST(ReplaceProcess, RunsWithExactlyTheEnvironment) {
  setenv("LEFT_OUT", "1", 1);
  EXPECT_EQ(InChild([] { return Replace({"env"}); }), 0);
  EXPECT_EQ(Output(), "PATH=/usr/bin:/bin\nGIVEN=value\n");
}

TEST(ReplaceProcess, LooksUpInThePathOfTheChild) {
  const std::string directory = testing::TempDir() + "/only-here";
  mkdir(directory.c_str(), 0700);
  const std::string program = directory + "/only-in-child-path";
  std::ofstream(program) << "#!/bin/sh\necho found\n";
  chmod(program.c_str(), 0700);
  const int code = InChild([&] {
    Environment environment;
    environment.Append("PATH", directory);
    return ReplaceProcess({"only-in-child-path"}, std::move(environment), InheritedState::Capture());
  });
  EXPECT_EQ(code, 0);
  EXPECT_EQ(Output(), "found\n");
}

TEST(ReplaceProcess, PassesArgumentsAndExitCode) {
  EXPECT_EQ(InChild([] { return Replace({"sh", "-c", "printf '%s|' \"$@\"; exit 7", "sh", "a b", "", "--"}); }), 7);
  EXPECT_EQ(Output(), "a b||--|");
}

TEST(ReplaceProcess, AnswersTheErrnoAndKeepsItsOwnEnvironment) {
  setenv("OWN", "kept", 1);
  EXPECT_EQ(InChild([] {
              const int error = Replace({"no-such-program-anywhere"});
              return error == ENOENT && getenv("OWN") != nullptr && getenv("GIVEN") == nullptr ? 0 : 1;
            }),
            0);
  const std::string plain = testing::TempDir() + "/not-executable";
  std::ofstream(plain) << "x";
  EXPECT_EQ(InChild([&] { return Replace({plain}) == EACCES ? 0 : 1; }), 0);
}

TEST(ReplaceProcess, ClosesEveryOtherDescriptor) {
  EXPECT_EQ(InChild([] {
              for (int i = 0; i < 5; ++i) {
                if (open("/dev/null", O_RDONLY) < 0) return 1;
              }
              if (dup2(0, 200) != 200) return 1;
              return Replace({"sh", "-c", "for f in /proc/$$/fd/*; do printf '%s ' \"${f##*/}\"; done"});
            }),
            0);
  // The shell has no descriptor of its own open while it expands the pattern but the one that reads the folder.
  for (const char* unwanted : {" 200", " 4", " 5", " 6", " 7"}) {
    EXPECT_EQ((" " + Output()).find(std::string(unwanted) + " "), std::string::npos) << Output();
  }
}

// The line of /proc/self/status that starts with `key` as the child of ReplaceProcess sees it.
std::string StatusLine(const std::string& key, const std::function<void()>& before_capture,
                       const std::function<void()>& after_capture) {
  EXPECT_EQ(InChild([&] {
              before_capture();
              const InheritedState state = InheritedState::Capture();
              after_capture();
              return ReplaceProcess({"grep", "^" + key, "/proc/self/status"}, Minimal(), state);
            }),
            0);
  return Output();
}

void IgnoreSigpipe() { signal(SIGPIPE, SIG_IGN); }
void DefaultSigpipe() { signal(SIGPIPE, SIG_DFL); }
void BlockUsr1() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, nullptr);
}
void Nothing() {}

uint64_t Mask(const std::string& line) { return strtoull(line.substr(line.find(':') + 1).c_str(), nullptr, 16); }

TEST(ReplaceProcess, RestoresSignalDispositions) {
  const uint64_t sigpipe = uint64_t{1} << (SIGPIPE - 1);
  EXPECT_EQ(Mask(StatusLine("SigIgn", DefaultSigpipe, IgnoreSigpipe)) & sigpipe, 0);
  EXPECT_EQ(Mask(StatusLine("SigIgn", IgnoreSigpipe, DefaultSigpipe)) & sigpipe, sigpipe);
}

TEST(ReplaceProcess, RestoresTheSignalMask) {
  const uint64_t sigusr1 = uint64_t{1} << (SIGUSR1 - 1);
  EXPECT_EQ(Mask(StatusLine("SigBlk", Nothing, BlockUsr1)) & sigusr1, 0);
  EXPECT_EQ(Mask(StatusLine("SigBlk", BlockUsr1, Nothing)) & sigusr1, sigusr1);
}

TEST(ReplaceProcess, RestoresTheCoreLimit) {
  EXPECT_EQ(InChild([] {
              struct rlimit limit;
              getrlimit(RLIMIT_CORE, &limit);
              limit.rlim_cur = limit.rlim_max;
              setrlimit(RLIMIT_CORE, &limit);
              const InheritedState state = InheritedState::Capture();
              HardenProcess();
              struct rlimit hardened;
              getrlimit(RLIMIT_CORE, &hardened);
              if (hardened.rlim_cur != 0 || prctl(PR_GET_DUMPABLE) != 0) return 1;
              return ReplaceProcess({"sh", "-c", "test \"$(ulimit -S -c)\" = \"$(ulimit -H -c)\""}, Minimal(), state);
            }),
            0);
}

TEST(ReplaceProcess, StaysHardenedWhenItFails) {
  EXPECT_EQ(InChild([] {
              const InheritedState state = InheritedState::Capture();
              HardenProcess();
              ReplaceProcess({"no-such-program-anywhere"}, Minimal(), state);
              struct rlimit limit;
              getrlimit(RLIMIT_CORE, &limit);
              return limit.rlim_cur == 0 && prctl(PR_GET_DUMPABLE) == 0 ? 0 : 1;
            }),
            0);
}

}  // namespace
}  // namespace keyferry::injector
