#include "injector/launch/launch_options.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::injector::launch {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(LaunchOptionsTest, ReadsWhatExecReads) {
  const auto options = ParseLaunchOptions({"--socket",
                                           "/s/agent.sock",
                                           "--clean-env",
                                           "--unset",
                                           "A",
                                           "--unset=B",
                                           "--startup-timeout=5s",
                                           "--on-rotate=signal:HUP",
                                           "--rotation",
                                           "serial",
                                           "--drain-timeout=1s",
                                           "--initialize-timeout=2s",
                                           "--stop-timeout=3s",
                                           "--debounce=0",
                                           "--splay=4s",
                                           "--no-redact",
                                           "--",
                                           "cmd",
                                           "--flag",
                                           "--"},
                                          nullptr);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->socket, "/s/agent.sock");
  EXPECT_TRUE(options->inherit.clean);
  EXPECT_THAT(options->inherit.unset, ElementsAre("A", "B"));
  EXPECT_EQ(options->startup_timeout, absl::Seconds(5));
  EXPECT_EQ(options->supervise.on_rotate, OnRotate::kSignal);
  EXPECT_EQ(options->supervise.rotation, Rotation::kSerial);
  EXPECT_EQ(options->supervise.drain_timeout, absl::Seconds(1));
  EXPECT_EQ(options->supervise.initialize_timeout, absl::Seconds(2));
  EXPECT_EQ(options->supervise.stop_timeout, absl::Seconds(3));
  EXPECT_EQ(options->supervise.debounce, absl::ZeroDuration());
  EXPECT_EQ(options->supervise.splay, absl::Seconds(4));
  EXPECT_FALSE(options->supervise.redact);
  EXPECT_FALSE(options->exec);
  EXPECT_THAT(options->command, ElementsAre("cmd", "--flag", "--"));
}

TEST(LaunchOptionsTest, TheSocketAlsoComesFromTheEnvironment) {
  EXPECT_EQ(ParseLaunchOptions({"--", "true"}, "/e")->socket, "/e");
  EXPECT_EQ(ParseLaunchOptions({"--socket=/s", "--", "true"}, "/e")->socket, "/s");
}

TEST(LaunchOptionsTest, HelpVersionAndCopyNeedNothingElse) {
  EXPECT_TRUE(ParseLaunchOptions({"--help"}, nullptr)->help);
  EXPECT_TRUE(ParseLaunchOptions({"--version"}, nullptr)->version);
  EXPECT_EQ(ParseLaunchOptions({"--copy-to", "/d"}, nullptr)->copy_to, "/d");
}

TEST(LaunchOptionsTest, AProbeBecomesItsCommand) {
  const auto options = ParseLaunchOptions({"--socket=/s", "--exec", "--transient", "--", "c"}, nullptr);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_TRUE(options->exec && options->transient);
}

TEST(LaunchOptionsTest, SaysWhatIsWrong) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{}, "which agent?"},
      {{"--socket=/s"}, "what is to be run?"},
      {{"--socket=/s", "--"}, "what is to be run?"},
      {{"--socket=/s", "--", ""}, "what is to be run?"},
      {{"--socket"}, "--socket needs a value"},
      {{"--socket="}, "--socket needs a value"},
      {{"--port=1"}, "unknown option --port"},
      {{"cmd"}, "unknown option cmd; the command comes after --"},
      {{"--socket=/s", "--startup-timeout=0s", "--", "c"}, "--startup-timeout takes a duration"},
      {{"--socket=/s", "--on-rotate=x", "--", "c"}, "--on-rotate takes"},
      {{"--socket=/s", "--unset=A=B", "--", "c"}, "--unset takes"},
      {{"--socket=/s", "--exec", "--no-redact", "--", "c"}, "with --exec nothing of the launcher is left"},
      {{"--exec=yes"}, "unknown option --exec"},
      {{"--socket=/s", "--transient", "--", "c"}, "--transient goes with --exec"},
  };
  for (const auto& [arguments, problem] : cases) {
    EXPECT_THAT(ParseLaunchOptions(arguments, nullptr).status().message(), HasSubstr(problem));
  }
}

}  // namespace
}  // namespace keyferry::injector::launch
