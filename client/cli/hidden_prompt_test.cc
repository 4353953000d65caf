#include "client/cli/hidden_prompt.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::client::cli {
namespace {

// A terminal whose other end is the test.
class HiddenPromptTest : public testing::Test {
 protected:
  HiddenPromptTest() {
    person_ = posix_openpt(O_RDWR | O_NOCTTY);
    grantpt(person_);
    unlockpt(person_);
    terminal_ = open(ptsname(person_), O_RDWR | O_NOCTTY);
  }
  ~HiddenPromptTest() override {
    close(terminal_);
    close(person_);
  }

  bool Echoes() const {
    termios settings;
    EXPECT_EQ(tcgetattr(terminal_, &settings), 0);
    return (settings.c_lflag & ECHO) != 0;
  }

  void WaitUntilHidden() const {
    while (Echoes()) sched_yield();
  }

  void Type(const std::string& text) const {
    ASSERT_EQ(write(person_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }

  // Runs the prompt in a child process, which exits with 0 if it got "sekrit", with 1 otherwise.
  pid_t Ask(size_t max_size = 100) const {
    const pid_t pid = fork();
    if (pid != 0) return pid;
    std::ostringstream output;
    SecretText answer;
    const Outcome outcome = HiddenPrompt(terminal_, output, "Value: ", max_size, &answer);
    _exit(!outcome.has_value() && answer.Expose() == "sekrit" && output.str() == "Value: \n" ? 0 : 1);
  }

  static int Wait(pid_t pid) {
    int status = 0;
    waitpid(pid, &status, 0);
    return status;
  }

  int person_ = -1;
  int terminal_ = -1;
};

TEST_F(HiddenPromptTest, ReadsALineWithoutShowingIt) {
  ASSERT_TRUE(Echoes());
  const pid_t pid = Ask();
  WaitUntilHidden();
  Type("sekrit\n");
  const int status = Wait(pid);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(Echoes());
  fcntl(person_, F_SETFL, O_NONBLOCK);
  char shown[64];
  EXPECT_EQ(read(person_, shown, sizeof(shown)), -1) << "the terminal showed what was typed";
}

TEST_F(HiddenPromptTest, SignalsRestoreTheTerminalAndStillEndTheProcess) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    const pid_t pid = Ask();
    WaitUntilHidden();
    kill(pid, signal);
    const int status = Wait(pid);
    ASSERT_TRUE(WIFSIGNALED(status)) << signal;
    EXPECT_EQ(WTERMSIG(status), signal);
    EXPECT_TRUE(Echoes()) << signal;
  }
}

TEST_F(HiddenPromptTest, TooLong) {
  const pid_t pid = Ask(/*max_size=*/5);
  WaitUntilHidden();
  Type("sekrit\n");
  EXPECT_EQ(WEXITSTATUS(Wait(pid)), 1);
  EXPECT_TRUE(Echoes());
}

TEST_F(HiddenPromptTest, EndOfInput) {
  const pid_t pid = Ask();
  WaitUntilHidden();
  Type("\x04");
  EXPECT_EQ(WEXITSTATUS(Wait(pid)), 1);
  EXPECT_TRUE(Echoes());
}

TEST_F(HiddenPromptTest, NotATerminal) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::ostringstream output;
  SecretText answer;
  const Outcome outcome = HiddenPrompt(ends[0], output, "Value: ", 100, &answer);
  ASSERT_TRUE(outcome.has_value());
  EXPECT_THAT(outcome->line, testing::HasSubstr("echo cannot be switched off"));
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace keyferry::client::cli
