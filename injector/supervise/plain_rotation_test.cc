// What happens to a running command that is no MCP server when its environment changes.
#include <signal.h>
#include <sys/wait.h>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "injector/supervise/testing/rotation_fixture.h"

namespace keyferry::injector {
namespace {

using PlainRotationTest = testing::RotationTest;

TEST_F(PlainRotationTest, RestartGoesOnWithTheSameInput) {
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

TEST_F(PlainRotationTest, EndedWhileBeingRestartedIsNotStartedAgain) {
  Launch({"sh", "-c", "trap 'echo term; sleep 0.3; exit 7' TERM; echo ready; while :; do sleep 0.01; done"},
         {"--on-rotate=restart", "--debounce=0"}, "GENERATION=1");
  EXPECT_EQ(program_->ReadLine(), "ready");
  Change("GENERATION=2");
  EXPECT_EQ(program_->ReadLine(), "term");
  kill(program_->pid(), SIGTERM);
  EXPECT_EQ(WEXITSTATUS(program_->Finish()), 7);
}

TEST_F(PlainRotationTest, SignalReachesTheCommand) {
  Launch({"sh", "-c", "trap 'echo hup' HUP; echo ready; while :; do sleep 0.01; done"},
         {"--on-rotate=signal:HUP", "--debounce=0"}, "GENERATION=1");
  EXPECT_EQ(program_->ReadLine(), "ready");
  Change("GENERATION=2");
  EXPECT_EQ(program_->ReadLine(), "hup");
}

TEST_F(PlainRotationTest, SignalReachesTheCommandForARollbackToo) {
  Launch({"sh", "-c", "trap 'echo hup' HUP; echo ready; while :; do sleep 0.01; done"},
         {"--on-rotate=signal:HUP", "--debounce=0"}, "GENERATION=1");
  EXPECT_EQ(program_->ReadLine(), "ready");
  for (const char* generation : {"2", "1"}) {
    Change(absl::StrCat("GENERATION=", generation));
    EXPECT_EQ(program_->ReadLine(), "hup") << generation;
  }
}

TEST_F(PlainRotationTest, ChangeAfterSigtermStartsNothing) {
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

TEST_F(PlainRotationTest, ExitStopsTheCommand) {
  Launch({"sh", "-c", "echo ready; exec sleep 100"}, {"--on-rotate=exit", "--debounce=0"}, "GENERATION=1");
  EXPECT_EQ(program_->ReadLine(), "ready");
  Change("GENERATION=2");
  EXPECT_EQ(WEXITSTATUS(program_->Finish()), 0);
}

TEST_F(PlainRotationTest, IgnoreDoesNothing) {
  Launch({"sh", "-c", "echo ready; read line; echo $GENERATION"}, {"--on-rotate=ignore", "--debounce=0"},
         "GENERATION=1");
  EXPECT_EQ(program_->ReadLine(), "ready");
  Change("GENERATION=2");
  program_->AwaitError("keeps what it has");
  program_->Write("\n");
  EXPECT_EQ(program_->ReadLine(), "1");
  EXPECT_EQ(WEXITSTATUS(program_->Finish()), 0);
}

}  // namespace
}  // namespace keyferry::injector
