// What the rewrite writes into pods is what the agent and the launcher take.
#include "injector/webhook/rewrite/agent_interface.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/agent/agent_options.h"
#include "injector/launch/launch_options.h"

namespace keyferry::injector::webhook {
namespace {

using Words = std::vector<std::string>;

// Without the program's path and, for the injector, its command.
Words Arguments(const Words& command, size_t skipped) { return {command.begin() + skipped, command.end()}; }

TEST(AgentInterfaceTest, TheAgentTakesItsCommand) {
  AgentCall call;
  call.max_stale = "90m";
  call.containers = {{"web", "github", "", "", false, std::nullopt},
                     {"worker", "jira", "eng", "session/token", true, 0}};
  const auto options = agent::ParseAgentOptions(Arguments(AgentCommand(call), 2));
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->max_stale, absl::Minutes(90));
  EXPECT_EQ(options->control_directory, kControlDirectory);
  ASSERT_EQ(options->containers.size(), 2);
  const agent::ContainerOptions& web = options->containers[0];
  EXPECT_EQ(web.name, "web");
  EXPECT_EQ(web.directory, AgentSocketDirectory("web"));
  EXPECT_EQ(web.mcp_server, "github");
  EXPECT_EQ(web.team + web.session_file, "");
  EXPECT_FALSE(web.allow_partial);
  EXPECT_FALSE(web.uid.has_value());
  const agent::ContainerOptions& worker = options->containers[1];
  EXPECT_EQ(worker.team, "eng");
  EXPECT_EQ(worker.session_file, std::string(kSessionDirectory) + "/session/token");
  EXPECT_TRUE(worker.allow_partial);
  EXPECT_EQ(worker.uid, 0u);
  const auto live = agent::ParseAgentOptions(Arguments(AgentLiveCommand(), 2));
  ASSERT_TRUE(live.ok()) << live.status();
  EXPECT_TRUE(live->check_live);
  EXPECT_EQ(live->control_directory, kControlDirectory);
}

TEST(AgentInterfaceTest, TheAgentTakesAsManyContainersAsAPodMayHave) {
  AgentCall call;
  call.max_stale = "24h";
  for (size_t i = 0; i < kMostAgentContainers; ++i) {
    call.containers.push_back({"c" + std::to_string(i), "github", "", "", false, std::nullopt});
  }
  EXPECT_TRUE(agent::ParseAgentOptions(Arguments(AgentCommand(call), 2)).ok());
}

TEST(AgentInterfaceTest, TheLauncherTakesEveryPrefix) {
  std::vector<LaunchCall> calls(1);
  for (const char* on_rotate : {"mcp", "restart", "signal:HUP", "exit", "ignore"}) {
    LaunchCall call;
    call.on_rotate = on_rotate;
    call.rotation = "serial";
    call.drain_timeout = "45s";
    call.initialize_timeout = "90s";
    call.stop_timeout = "20s";
    call.debounce = "1s500ms";
    call.splay = "2m";
    call.redact = false;
    calls.push_back(call);
  }
  calls.back().clean_env = true;
  calls.back().unset = {"HTTP_PROXY", "-x"};
  calls.push_back(calls.back());
  calls.back().supervise = false;
  for (const LaunchCall& call : calls) {
    Words words = LaunchPrefix(call);
    words.insert(words.end(), {"node", "--socket", "x"});
    const auto options = launch::ParseLaunchOptions(Arguments(words, 1), nullptr);
    ASSERT_TRUE(options.ok()) << call.on_rotate << ": " << options.status();
    EXPECT_EQ(options->socket, std::string(kSocketDirectory) + "/agent.sock");
    EXPECT_EQ(options->exec, !call.supervise);
    const bool supervised = call.supervise && !call.splay.empty();
    EXPECT_EQ(options->supervise.splay, supervised ? absl::Minutes(2) : absl::ZeroDuration());
    EXPECT_EQ(options->supervise.debounce, absl::Milliseconds(supervised ? 1500 : 100));
    EXPECT_EQ(options->supervise.initialize_timeout, absl::Seconds(supervised ? 90 : 60));
    EXPECT_EQ(options->supervise.stop_timeout, absl::Seconds(supervised ? 20 : 10));
    EXPECT_EQ(options->supervise.drain_timeout, absl::Seconds(supervised ? 45 : 30));
    EXPECT_EQ(options->inherit.clean, call.clean_env);
    EXPECT_EQ(options->inherit.unset, call.unset);
    EXPECT_THAT(options->command, testing::ElementsAre("node", "--socket", "x"));
  }
  Words probe = ProbePrefix(calls[calls.size() - 2]);
  probe.push_back("/bin/healthy");
  const auto options = launch::ParseLaunchOptions(Arguments(probe, 1), nullptr);
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_TRUE(options->exec && options->transient);
  EXPECT_TRUE(options->inherit.clean);
  EXPECT_THAT(options->inherit.unset, testing::ElementsAre("HTTP_PROXY", "-x"));
  const auto install = launch::ParseLaunchOptions(Arguments(InstallCommand(), 1), nullptr);
  ASSERT_TRUE(install.ok()) << install.status();
  EXPECT_EQ(install->copy_to, kLaunchDirectory);
}

}  // namespace
}  // namespace keyferry::injector::webhook
