// A supervised command at a terminal.
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/supervise/testing/program.h"

namespace keyferry::injector {
namespace {

using testing::DataFile;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Supervised;

// The person at the terminal.
class TerminalTest : public ::testing::Test {
 protected:
  ~TerminalTest() override {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(master_);
  }

  void Launch(const std::vector<std::string>& command, const char* first = "TOKEN=a-value-to-hide") {
    struct winsize size = {24, 80, 0, 0};
    char name[64];
    // A slave of the test's own, to look at the modes.
    pid_ = forkpty(&master_, name, nullptr, &size);
    if (pid_ == 0) {
      setenv("KEYFERRY_TEST_FIRST", first, 1);
      std::vector<char*> arguments;
      for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
      arguments.push_back(nullptr);
      execvp(arguments[0], arguments.data());
      _exit(127);
    }
    slave_name_ = name;
  }

  void Type(const std::string& keys) { ASSERT_EQ(write(master_, keys.data(), keys.size()), (ssize_t)keys.size()); }

  // What has been shown up to and with `text`.
  std::string Await(const std::string& text) {
    while (!absl::StrContains(shown_, text)) {
      if (!ReadSome()) {
        ADD_FAILURE() << "never shown: " << text << "\nshown: " << shown_;
        return "";
      }
    }
    const size_t end = shown_.find(text) + text.size();
    std::string before = shown_.substr(0, end);
    shown_.erase(0, end);
    return before;
  }
  bool ReadSome() {
    struct pollfd one = {master_, POLLIN, 0};
    if (poll(&one, 1, 10000) <= 0) return false;
    char buffer[4096];
    const ssize_t size = read(master_, buffer, sizeof(buffer));
    if (size <= 0) return false;
    shown_.append(buffer, static_cast<size_t>(size));
    return true;
  }
  int Finish() {
    while (ReadSome()) {
    }
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return status;
  }

  pid_t pid_ = -1;
  int master_ = -1;
  std::string slave_name_;
  std::string shown_;
};

TEST_F(TerminalTest, LooksLikeTheOuterOne) {
  Launch(Supervised({DataFile("injector/supervise/testing/probe"), "terminal"}));
  Await("tty 1 1 1");
  Await("size 24 80 controlling 1 foreground 1");
  EXPECT_EQ(WEXITSTATUS(Finish()), 0);
}

TEST_F(TerminalTest, ValuesAreTakenOut) {
  Launch(Supervised({"sh", "-c", "echo \"it is $TOKEN.\"; echo \"to error $TOKEN.\" >&2"}));
  EXPECT_THAT(Await("error [keyferry:TOKEN]."), HasSubstr("it is [keyferry:TOKEN]."));
  EXPECT_EQ(WEXITSTATUS(Finish()), 0);
}

TEST_F(TerminalTest, InterruptKey) {
  Launch(Supervised({"sh", "-c", "trap 'echo interrupted; exit 9' INT; echo ready; while :; do sleep 0.01; done"}));
  Await("ready");
  Type("\x03");
  Await("interrupted");
  EXPECT_EQ(WEXITSTATUS(Finish()), 9);
}

TEST_F(TerminalTest, LineEditingAndEndOfFile) {
  Launch(Supervised({"sh", "-c", "echo ready; cat; echo over"}));
  Await("ready");
  Type("helxx\x7f\x7flo\n");
  Await("lo\r\nhello\r\n");
  Type("\x04");
  Await("over");
  EXPECT_EQ(WEXITSTATUS(Finish()), 0);
}

TEST_F(TerminalTest, WindowSize) {
  Launch(Supervised({"sh", "-c", "trap 'stty size' WINCH; echo ready; while :; do sleep 0.01; done"}));
  Await("ready");
  struct winsize size = {50, 132, 0, 0};
  ioctl(master_, TIOCSWINSZ, &size);
  Await("50 132");
}

// An interactive shell, with the supervised command as its job.
TEST_F(TerminalTest, SuspendAndResume) {
  Launch({"bash", "--norc", "--noprofile", "-i"});
  Type("PS1='prompt''> '\n");
  Await("prompt> ");
  std::string line;
  for (const std::string& word : Supervised({"sh", "-c", "echo rea'dy'; read line; echo got-$line"})) {
    line += "'" + std::string(word) + "' ";
    if (absl::StrContains(word, "'")) line = line.substr(0, line.size() - word.size() - 3) + "\"" + word + "\" ";
  }
  line = absl::StrContains(line, "$line") ? line.replace(line.find("$line"), 1, "\\$") : line;
  Type(line + "\n");
  Await("ready\r\n");
  Type("\x1a");
  Await("Stopped");
  Await("prompt> ");
  Type("stty -a | grep -o -e '-*icanon'; fg\n");
  EXPECT_THAT(Await("icanon\r\n"), Not(HasSubstr("-icanon\r\n")));
  Type("word\n");
  Await("got-word");
  Await("prompt> ");
  Type("exit 4\n");
  EXPECT_EQ(WEXITSTATUS(Finish()), 4);
}

TEST_F(TerminalTest, ModesAreBackAfterEveryEnd) {
  for (const char* end : {"exit 3", "kill -KILL $$", "exec /nonexistent"}) {
    std::vector<std::string> command = {
        "bash",
        "--norc",
        "--noprofile",
        "-c",
        "before=$(stty -g); \"$@\"; echo; [ \"$(stty -g)\" = \"$before\" ] && echo sa\"\"me",
        "bash"};
    for (const std::string& word : Supervised({"sh", "-c", end})) command.push_back(word);
    shown_.clear();
    Launch(command);
    Await("same");
    Finish();
    close(master_);
  }
  master_ = -1;
}

}  // namespace
}  // namespace keyferry::injector
