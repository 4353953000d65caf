#include "injector/agent/agent_options.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::injector::agent {
namespace {

using ::testing::HasSubstr;

constexpr char kContainer[] = "name=github,directory=/run/keyferry/github,mcp-server=github,uid=1000";

TEST(AgentOptionsTest, ReadsContainersFromFlags) {
  const auto options = ParseAgentOptions(
      {"--container", kContainer, "--container",
       "name=files,directory=/run/keyferry/files,mcp-server=files,team=eng,session-file=/s,allow-partial=true",
       "--max-stale=1h", "--drain-timeout", "5s", "--control-dir", "/run/keyferry/control", "--org", "acme"});
  ASSERT_TRUE(options.ok()) << options.status();
  ASSERT_EQ(options->containers.size(), 2u);
  EXPECT_EQ(options->containers[0].mcp_server, "github");
  EXPECT_EQ(options->containers[0].uid, 1000u);
  EXPECT_FALSE(options->containers[1].uid.has_value());
  EXPECT_EQ(options->containers[1].team, "eng");
  EXPECT_EQ(options->containers[1].session_file, "/s");
  EXPECT_TRUE(options->containers[1].allow_partial);
  EXPECT_EQ(options->max_stale, absl::Hours(1));
  EXPECT_EQ(options->drain_timeout, absl::Seconds(5));
  EXPECT_EQ(options->connection.org, "acme");
}

TEST(AgentOptionsTest, ReadsAFile) {
  AgentOptions options;
  const absl::Status status = ReadAgentConfig(
      "maxStale: 2h\ncontrolDirectory: /c\ncontainers:\n"
      "  - {name: github, directory: /run/keyferry/github, mcpServer: github, uid: 7, allowPartial: false}\n",
      "agent.yaml", options);
  ASSERT_TRUE(status.ok()) << status;
  ASSERT_EQ(options.containers.size(), 1u);
  EXPECT_EQ(options.containers[0].uid, 7u);
  EXPECT_EQ(options.max_stale, absl::Hours(2));
  EXPECT_EQ(options.control_directory, "/c");
}

TEST(AgentOptionsTest, SaysWhatIsWrongInAFile) {
  const std::pair<const char*, const char*> cases[] = {
      {"a: b", "agent.yaml:1:1: unknown key `a`"},
      {"containers: x", "must be a list"},
      {"containers: [x]", "must be a map"},
      {"containers: [{name: a, port: 1}]",
       "container a: unknown key `port`; known are name, directory, mcpServer, team, sessionFile, allowPartial, uid"},
      {"containers: [{name: a, mcp-server: m}]", "unknown key `mcp-server`"},
      {"containers: [{name: a, uid: root}]", "`uid` must be the number"},
      {"maxStale: soon", "`maxStale` takes a duration"},
      {"[", "agent.yaml:"},
      {"", "must be a map"},
      {"? [a]\n: b", "agent.yaml:"},
  };
  for (const auto& [text, problem] : cases) {
    AgentOptions options;
    EXPECT_THAT(ReadAgentConfig(text, "agent.yaml", options).message(), HasSubstr(problem)) << text;
  }
}

TEST(AgentOptionsTest, SaysWhatIsWrongInFlags) {
  const std::pair<std::vector<std::string>, const char*> cases[] = {
      {{}, "which containers?"},
      {{"--container", "name=a"}, "container a needs a directory and an MCP server"},
      {{"--container", "directory=/d,mcp-server=m"}, "has no `name`"},
      {{"--container", "name=a,port=1"},
       "unknown key `port`; known are name, directory, mcp-server, team, session-file, allow-partial, uid"},
      {{"--container", "name=a,mcpServer=m"}, "unknown key `mcpServer`"},
      {{"--container", "name=a,allow-partial=x"}, "`allow-partial` must be true or false"},
      {{"--container", "name=a,uid=-1"}, "`uid` must be the number"},
      {{"--container", "name=a,uid=4294967295"}, "`uid` must be the number"},
      {{"--container", kContainer, "--container", kContainer}, "two containers have the name github"},
      {{"--container", "name=a,directory=/d,mcp-server=m", "--container", "name=b,directory=/d,mcp-server=m"},
       "shares the directory /d"},
      {{"--container", "name=a,directory=/d,mcp-server=m", "--control-dir=/d"}, "shares the directory /d"},
      {{"--container", kContainer, "--max-stale=x"}, "--max-stale takes a duration"},
      {{"--check-live"}, "which agent?"},
      {{"--config", "/nowhere/agent.yaml"}, "the agent's configuration"},
  };
  for (const auto& [arguments, problem] : cases) {
    EXPECT_THAT(ParseAgentOptions(arguments).status().message(), HasSubstr(problem));
  }
}

TEST(AgentOptionsTest, ChecksNeedNoContainers) {
  const auto options = ParseAgentOptions({"--check-ready", "--control-dir", "/c"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_TRUE(options->check_ready);
  EXPECT_THAT(AgentHelp(), HasSubstr("--max-stale"));
}

}  // namespace
}  // namespace keyferry::injector::agent
