#include "injector/exec/exec_options.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::injector {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

using Arguments = std::vector<std::string>;

TEST(ParseExecOptions, Minimal) {
  const absl::StatusOr<ExecOptions> options = ParseExecOptions({"--mcp-server", "github", "--", "npx"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->mcp_server, "github");
  EXPECT_THAT(options->command, ElementsAre("npx"));
  EXPECT_EQ(options->startup_timeout, absl::Seconds(30));
  EXPECT_FALSE(options->allow_partial);
  EXPECT_FALSE(options->inherit.clean);
  EXPECT_FALSE(options->help);
}

TEST(ParseExecOptions, SuperviseByDefault) {
  const absl::StatusOr<ExecOptions> options = ParseExecOptions({"--mcp-server", "x", "--supervise", "--", "cmd"});
  ASSERT_TRUE(options.ok()) << options.status();
  ASSERT_TRUE(options->supervise.has_value());
  EXPECT_EQ(options->supervise->on_rotate, OnRotate::kByStreams);
  EXPECT_EQ(options->supervise->rotation, Rotation::kOverlap);
  EXPECT_EQ(options->supervise->drain_timeout, absl::Seconds(30));
  EXPECT_EQ(options->supervise->initialize_timeout, absl::Seconds(60));
  EXPECT_EQ(options->supervise->stop_timeout, absl::Seconds(10));
  EXPECT_EQ(options->supervise->debounce, absl::Milliseconds(100));
  EXPECT_EQ(options->supervise->splay, absl::ZeroDuration());
  EXPECT_TRUE(options->supervise->redact);
}

TEST(ParseExecOptions, SuperviseWithEverything) {
  const absl::StatusOr<ExecOptions> options = ParseExecOptions(
      {"--mcp-server", "x", "--supervise", "--rotation=serial", "--drain-timeout=0", "--initialize-timeout", "5s",
       "--stop-timeout=1m", "--on-rotate", "signal:sighup", "--splay=2h", "--debounce=0", "--no-redact", "--", "cmd"});
  ASSERT_TRUE(options.ok()) << options.status();
  ASSERT_TRUE(options->supervise.has_value());
  EXPECT_EQ(options->supervise->on_rotate, OnRotate::kSignal);
  EXPECT_EQ(options->supervise->signal, 1);
  EXPECT_EQ(options->supervise->rotation, Rotation::kSerial);
  EXPECT_EQ(options->supervise->drain_timeout, absl::ZeroDuration());
  EXPECT_EQ(options->supervise->initialize_timeout, absl::Seconds(5));
  EXPECT_EQ(options->supervise->stop_timeout, absl::Minutes(1));
  EXPECT_EQ(options->supervise->debounce, absl::ZeroDuration());
  EXPECT_EQ(options->supervise->splay, absl::Hours(2));
  EXPECT_FALSE(options->supervise->redact);
}

TEST(ParseExecOptions, Policies) {
  const std::pair<const char*, OnRotate> kCases[] = {{"mcp", OnRotate::kMcp},
                                                     {"restart", OnRotate::kRestart},
                                                     {"exit", OnRotate::kExit},
                                                     {"ignore", OnRotate::kIgnore}};
  for (const auto& [name, policy] : kCases) {
    const absl::StatusOr<ExecOptions> options =
        ParseExecOptions({"--mcp-server", "x", "--supervise", "--on-rotate", name, "--", "cmd"});
    ASSERT_TRUE(options.ok()) << options.status();
    EXPECT_EQ(options->supervise->on_rotate, policy) << name;
  }
}

TEST(ParseExecOptions, Everything) {
  const absl::StatusOr<ExecOptions> options = ParseExecOptions({"--mcp-server=orgs/dev/mcpServers/github",
                                                                "--team",
                                                                "eng",
                                                                "--session-file",
                                                                "s",
                                                                "--clean-env",
                                                                "--unset",
                                                                "A",
                                                                "--unset=B",
                                                                "--allow-partial",
                                                                "--startup-timeout",
                                                                "1m30s",
                                                                "--address",
                                                                "h:1",
                                                                "--ca-file",
                                                                "ca",
                                                                "--token-file",
                                                                "t",
                                                                "--org",
                                                                "dev",
                                                                "--client-cert-file",
                                                                "c",
                                                                "--client-key-file",
                                                                "k",
                                                                "--profile",
                                                                "p",
                                                                "--",
                                                                "cmd",
                                                                "-y",
                                                                "--help",
                                                                "--",
                                                                "--mcp-server",
                                                                "[a,b]",
                                                                ""});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->mcp_server, "orgs/dev/mcpServers/github");
  EXPECT_EQ(options->team, "eng");
  EXPECT_EQ(options->session_file, "s");
  EXPECT_TRUE(options->inherit.clean);
  EXPECT_THAT(options->inherit.unset, ElementsAre("A", "B"));
  EXPECT_TRUE(options->allow_partial);
  EXPECT_EQ(options->startup_timeout, absl::Seconds(90));
  EXPECT_EQ(options->connection.address, "h:1");
  EXPECT_EQ(options->connection.ca_file, "ca");
  EXPECT_EQ(options->connection.token_file, "t");
  EXPECT_EQ(options->connection.org, "dev");
  EXPECT_EQ(options->connection.client_cert_file, "c");
  EXPECT_EQ(options->connection.client_key_file, "k");
  EXPECT_EQ(options->connection.profile, "p");
  EXPECT_THAT(options->command, ElementsAre("cmd", "-y", "--help", "--", "--mcp-server", "[a,b]", ""));
}

struct BadCase {
  std::string name;
  Arguments arguments;
  std::string message;
};

class BadArgumentsTest : public testing::TestWithParam<BadCase> {};

TEST_P(BadArgumentsTest, Refused) {
  const absl::Status status = ParseExecOptions(GetParam().arguments).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr(GetParam().message));
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("\n")));
}

INSTANTIATE_TEST_SUITE_P(
    Table, BadArgumentsTest,
    testing::Values(
        BadCase{"Nothing", {}, "which MCP server"}, BadCase{"NoServer", {"--", "cmd"}, "which MCP server"},
        BadCase{"EmptyServer", {"--mcp-server", "", "--", "cmd"}, "which MCP server"},
        BadCase{"NoCommand", {"--mcp-server", "x"}, "what is to be run"},
        BadCase{"NothingAfterSeparator", {"--mcp-server", "x", "--"}, "what is to be run"},
        BadCase{"EmptyCommand", {"--mcp-server", "x", "--", ""}, "what is to be run"},
        BadCase{"CommandWithoutSeparator", {"--mcp-server", "x", "cmd"}, "cmd"},
        BadCase{"UnknownFlag", {"--mcp-server", "x", "--frob", "--", "cmd"}, "--frob"},
        BadCase{"OptionWithoutSupervise", {"--mcp-server", "x", "--splay", "1s", "--", "cmd"}, "need --supervise"},
        BadCase{"NoRedactWithoutSupervise", {"--mcp-server", "x", "--no-redact", "--", "cmd"}, "need --supervise"},
        BadCase{
            "Policy", {"--mcp-server", "x", "--supervise", "--on-rotate", "reload", "--", "c"}, "--on-rotate takes"},
        BadCase{"Signal", {"--mcp-server", "x", "--supervise", "--on-rotate=signal:", "--", "c"}, "--on-rotate takes"},
        BadCase{"NoSignal", {"--mcp-server", "x", "--supervise", "--on-rotate=signal:FOO", "--", "c"}, "--on-rotate"},
        BadCase{"Rotation", {"--mcp-server", "x", "--supervise", "--rotation", "both", "--", "c"}, "overlap or serial"},
        BadCase{"Drain", {"--mcp-server", "x", "--supervise", "--drain-timeout", "-1s", "--", "c"}, "--drain-timeout"},
        BadCase{"Init", {"--mcp-server", "x", "--supervise", "--initialize-timeout=0", "--", "c"}, "--initialize-time"},
        BadCase{"Stop", {"--mcp-server", "x", "--supervise", "--stop-timeout", "30", "--", "c"}, "--stop-timeout"},
        BadCase{"Debounce", {"--mcp-server", "x", "--supervise", "--debounce", "25h", "--", "c"}, "--debounce"},
        BadCase{"ServerTwice", {"--mcp-server", "x", "--mcp-server", "y", "--", "cmd"}, "--mcp-server"},
        BadCase{"FlagWithoutValue", {"--mcp-server", "--", "cmd"}, "--mcp-server"},
        BadCase{"BadTimeout", {"--mcp-server", "x", "--startup-timeout", "soon", "--", "cmd"}, "--startup-timeout"},
        BadCase{"NoUnit", {"--mcp-server", "x", "--startup-timeout", "30", "--", "cmd"}, "--startup-timeout"},
        BadCase{"ShortTimeout", {"--mcp-server", "x", "--startup-timeout", "0s", "--", "cmd"}, "--startup-timeout"},
        BadCase{"LongTimeout", {"--mcp-server", "x", "--startup-timeout", "61m", "--", "cmd"}, "--startup-timeout"},
        BadCase{"InfiniteTimeout", {"--mcp-server", "x", "--startup-timeout", "inf", "--", "cmd"}, "--startup-timeout"},
        BadCase{"UnsetWithEquals", {"--mcp-server", "x", "--unset", "A=B", "--", "cmd"}, "--unset"},
        BadCase{"EmptyUnset", {"--mcp-server", "x", "--unset=", "--", "cmd"}, "--unset"}),
    [](const auto& info) { return info.param.name; });

TEST(ParseExecOptions, SuperviseOfTheCommandIsTheCommands) {
  const absl::StatusOr<ExecOptions> options = ParseExecOptions({"--mcp-server", "x", "--", "cmd", "--supervise"});
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_THAT(options->command, ElementsAre("cmd", "--supervise"));
}

TEST(ParseExecOptions, Help) {
  for (const char* flag : {"--help", "-h"}) {
    const absl::StatusOr<ExecOptions> options = ParseExecOptions({flag});
    ASSERT_TRUE(options.ok());
    EXPECT_TRUE(options->help);
  }
  for (const char* text : {"--mcp-server",
                           "--team",
                           "--session-file",
                           "KEYFERRY_SESSION_FILE",
                           "--clean-env",
                           "--unset",
                           "--allow-partial",
                           "--startup-timeout",
                           "--address",
                           "--ca-file",
                           "--token-file",
                           "--org",
                           "--client-cert-file",
                           "--client-key-file",
                           "--profile",
                           "64",
                           "69",
                           "77",
                           "78",
                           "126",
                           "127",
                           "KEYFERRY_TOKEN_FILE"}) {
    EXPECT_THAT(ExecHelp(), HasSubstr(text));
  }
}

struct TargetCase {
  std::string name;
  std::string mcp_server;
  std::string team;
  std::string org;
  // Empty: refused.
  std::vector<std::string> want_servers;
  std::string want_team;
};

class TargetTest : public testing::TestWithParam<TargetCase> {};

TEST_P(TargetTest, Target) {
  const TargetCase& param = GetParam();
  ExecOptions options;
  options.mcp_server = param.mcp_server;
  options.team = param.team;
  const absl::StatusOr<ResolveTarget> target = TargetOf(options, param.org);
  ASSERT_EQ(target.ok(), !param.want_servers.empty()) << target.status();
  if (!target.ok()) {
    EXPECT_EQ(target.status().code(), absl::StatusCode::kInvalidArgument);
    return;
  }
  EXPECT_EQ(target->mcp_servers, param.want_servers);
  EXPECT_EQ(target->team, param.want_team);
}

INSTANTIATE_TEST_SUITE_P(
    Table, TargetTest,
    testing::Values(
        TargetCase{"Id", "gh", "", "dev", {"orgs/dev/mcpServers/gh"}, ""},
        TargetCase{"IdAndTeam",
                   "gh",
                   "eng",
                   "dev",
                   {"orgs/dev/teams/eng/mcpServers/gh", "orgs/dev/mcpServers/gh"},
                   "orgs/dev/teams/eng"},
        TargetCase{"IdWithoutOrg", "gh", "", "", {}, ""},
        TargetCase{"FullNameNeedsNoOrg", "orgs/a/mcpServers/gh", "", "", {"orgs/a/mcpServers/gh"}, ""},
        TargetCase{"FullNameWinsOverOrg", "orgs/a/mcpServers/gh", "", "dev", {"orgs/a/mcpServers/gh"}, ""},
        TargetCase{
            "FullNameAndTeam", "orgs/a/mcpServers/gh", "eng", "dev", {"orgs/a/mcpServers/gh"}, "orgs/a/teams/eng"},
        TargetCase{"TeamsFullName",
                   "orgs/a/teams/eng/mcpServers/gh",
                   "eng",
                   "",
                   {"orgs/a/teams/eng/mcpServers/gh"},
                   "orgs/a/teams/eng"},
        TargetCase{"OtherTeamsFullName", "orgs/a/teams/ops/mcpServers/gh", "eng", "", {}, ""}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace keyferry::injector
