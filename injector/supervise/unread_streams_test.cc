// Whoever does not read holds back nobody but who writes to him: not the client of an MCP server, not the news that a
// process has ended, not the injector's own end.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/supervise/testing/rotation_fixture.h"

namespace keyferry::injector {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class UnreadStreamsTest : public testing::RotationTest {
 protected:
  // The end of a shell command: says that all is written, and ends with 3 whatever signal comes.
  std::string AllWritten() const { return absl::StrCat("trap '' TERM; : > ", Written(), "; exit 3"); }
  void AwaitAllWritten() const {
    for (int i = 0; i < 12000 && unlink(Written().c_str()) != 0; ++i) usleep(5000);
  }
  std::string Written() const { return directory_ + "/written"; }
};

TEST_F(UnreadStreamsTest, WhoDoesNotReadTheLastOutputHoldsNothingAfterSigterm) {
  for (const char* policy : {"--on-rotate=mcp", "--on-rotate=restart"}) {
    // More than the pipe to the reader takes, less than the injector holds: lines, so that MCP mode has them as well.
    Launch({"sh", "-c",
            "i=0; while [ $i -lt 1500 ]; do i=$((i + 1)); "
            "echo '{\"jsonrpc\":\"2.0\",\"method\":\"notifications/message\",\"params\":{\"data\":"
            "\"0123456789012345678901234567890123456789\"}}'; done; " +
                AllWritten()},
           {policy}, "GENERATION=1");
    AwaitAllWritten();
    EXPECT_FALSE(EndsWithin(absl::Seconds(1))) << policy;
    kill(program_->pid(), SIGTERM);
    EXPECT_TRUE(EndsWithin(absl::Seconds(10))) << policy;
    EXPECT_EQ(WEXITSTATUS(program_->Finish()), 3) << policy;
  }
}

TEST_F(UnreadStreamsTest, ReplacedProcessThatDoesNotReadDoesNotHoldBackTheClient) {
  LaunchServer({"--drain-timeout=60s", "--stop-timeout=200ms"});
  SendCall(1, "deaf");
  // More than its pipe and the injector hold of it.
  SendCall(2, "who", std::string(1 << 20, 'x'));
  Change("GENERATION=2");
  program_->AwaitError("has taken over");
  EXPECT_THAT(Call(3, "who"), StartsWith("2 "));
  EndOfInput();
}

TEST_F(UnreadStreamsTest, ReplacementThatAsksAndDoesNotReadDoesNotHoldBackTheClient) {
  LaunchServer({"--initialize-timeout=60s", "--stop-timeout=200ms"});
  Change("GENERATION=2 MODE=flood");
  program_->AwaitError("asks too much before it is initialized");
  EXPECT_THAT(Call(1, "who", std::string(1 << 20, 'x')), StartsWith("1 "));
  EndOfInput();
}

TEST_F(UnreadStreamsTest, EndOfAServerIsKnownThoughNobodyReadsItsErrors) {
  LaunchServer({});
  program_->LeaveErrorsUnread();
  SendCall(1, "shout", "42");
  EXPECT_THAT(Receive(), HasSubstr("\"id\":1,\"error\""));
  EXPECT_EQ(WEXITSTATUS(program_->Finish()), 42);
}

TEST_F(UnreadStreamsTest, SerialRotationGoesOnThoughNobodyReadsErrors) {
  LaunchServer({"--rotation=serial"});
  program_->LeaveErrorsUnread();
  SendCall(1, "shout", "42");
  Change("GENERATION=2");
  EXPECT_THAT(Receive(), HasSubstr("\"id\":1,\"error\""));
  EXPECT_THAT(Call(2, "who"), StartsWith("2 "));
  EndOfInput();
}

TEST_F(UnreadStreamsTest, WhoDoesNotReadTheLastErrorsHoldsNothingAfterSigterm) {
  for (const char* policy : {"--on-rotate=mcp", "--on-rotate=restart"}) {
    // As much as the pipe to the reader takes, the injector holds and the command's own pipe takes, however they part
    // it.
    Launch({"sh", "-c",
            "full=0; while [ $full -lt 5 ]; do "
            "if dd if=/dev/zero bs=4096 count=1 oflag=nonblock >&2 2>/dev/null; then full=0; "
            "else full=$((full + 1)); sleep 0.2; fi; done; " +
                AllWritten()},
           {policy}, "GENERATION=1");
    AwaitAllWritten();
    EXPECT_FALSE(EndsWithin(absl::Seconds(1))) << policy;
    kill(program_->pid(), SIGTERM);
    EXPECT_TRUE(EndsWithin(absl::Seconds(10))) << policy;
    EXPECT_EQ(WEXITSTATUS(program_->Finish()), 3) << policy;
  }
}

}  // namespace
}  // namespace keyferry::injector
