#include "client/mcp_server_file.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr char kExample[] = R"(id: github            # team: eng   for a team's
transport: STDIO
command: npx
args: ["-y", "@modelcontextprotocol/server-github"]
env:
  - {name: GITHUB_TOKEN, orgSecret: GITHUB_TOKEN}
  - {name: API_AUTH, userSecret: API_KEY, template: "Bearer {value}", required: false}
  - {name: LOG_LEVEL, static: info}
  - {name: GOOGLE_TOKEN, oauth: google}
  - {name: PINNED, teamSecret: T, overridable: false}
)";

TEST(McpServerFileTest, ReadsTheSpecifiedForm) {
  const absl::StatusOr<std::vector<McpServerDocument>> documents = ParseMcpServerFile(kExample, "f");
  ASSERT_TRUE(documents.ok()) << documents.status();
  ASSERT_EQ(documents->size(), 1u);
  const McpServerDocument& document = documents->front();
  EXPECT_EQ(document.id, "github");
  EXPECT_EQ(document.team, "");
  const v1::McpServer& server = document.server;
  EXPECT_EQ(server.name(), "");
  EXPECT_EQ(server.transport(), v1::MCP_TRANSPORT_STDIO);
  EXPECT_EQ(server.command(), "npx");
  EXPECT_THAT(server.args(), ElementsAre("-y", "@modelcontextprotocol/server-github"));
  ASSERT_EQ(server.env_size(), 5);
  EXPECT_EQ(server.env(0).variable(), "GITHUB_TOKEN");
  EXPECT_EQ(server.env(0).org_secret(), "GITHUB_TOKEN");
  EXPECT_FALSE(server.env(0).optional());
  EXPECT_FALSE(server.env(0).not_overridable());
  EXPECT_EQ(server.env(1).user_secret(), "API_KEY");
  EXPECT_EQ(server.env(1).template_(), "Bearer {value}");
  EXPECT_TRUE(server.env(1).optional());
  EXPECT_EQ(server.env(2).static_(), "info");
  EXPECT_EQ(server.env(3).oauth(), "google");
  EXPECT_EQ(server.env(4).team_secret(), "T");
  EXPECT_TRUE(server.env(4).not_overridable());
}

TEST(McpServerFileTest, ReadsSeveralDocuments) {
  const absl::StatusOr<std::vector<McpServerDocument>> documents =
      ParseMcpServerFile("---\nid: a\ntransport: HTTP\n---\n---\nid: a\nteam: eng\ntransport: STDIO\n", "f");
  ASSERT_TRUE(documents.ok()) << documents.status();
  ASSERT_EQ(documents->size(), 2u);
  EXPECT_EQ((*documents)[0].server.transport(), v1::MCP_TRANSPORT_HTTP);
  EXPECT_EQ((*documents)[1].team, "eng");
}

TEST(McpServerFileTest, ScalarsAreTexts) {
  const absl::StatusOr<std::vector<McpServerDocument>> documents = ParseMcpServerFile(
      "id: a\ntransport: STDIO\nargs: [8080, true]\nenv: [{name: A, static: 1}, {name: B, static: \"\"}]\n", "f");
  ASSERT_TRUE(documents.ok()) << documents.status();
  EXPECT_THAT(documents->front().server.args(), ElementsAre("8080", "true"));
  EXPECT_EQ(documents->front().server.env(0).static_(), "1");
  EXPECT_EQ(documents->front().server.env(1).source_case(), v1::EnvBinding::kStatic);
}

struct BadFile {
  const char* name;
  const char* text;
  const char* expected;
};

class BadMcpServerFileTest : public testing::TestWithParam<BadFile> {};

TEST_P(BadMcpServerFileTest, SaysWhereAndWhat) {
  const absl::StatusOr<std::vector<McpServerDocument>> documents = ParseMcpServerFile(GetParam().text, "f");
  ASSERT_FALSE(documents.ok());
  EXPECT_EQ(documents.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(documents.status().message()), HasSubstr(GetParam().expected));
  EXPECT_THAT(std::string(documents.status().message()), Not(HasSubstr("sekrit")));
}

INSTANTIATE_TEST_SUITE_P(
    Files, BadMcpServerFileTest,
    testing::ValuesIn<BadFile>({
        {"Empty", "", "f:1:1: no MCP server"},
        {"OnlyComments", "# nothing\n---\n", "f:1:1: no MCP server"},
        {"NotYaml", "id: a\ntransport: [\n", "f:3:1: "},
        {"LoneComma", ",", "f:1:1: not YAML"},
        {"CommaAfterADocument", "id: a\ntransport: STDIO\n---\n,\n", "f:1:1: not YAML"},
        {"Tab", "id: a\n\ttransport: STDIO\n", "f:2:"},
        {"List", "- id: a\n", "f:1:1: an MCP server must be a map"},
        {"Text", "hello\n", "f:1:1: an MCP server must be a map"},
        {"NoId", "transport: STDIO\n", "f:1:1: `id` is missing"},
        {"NoTransport", "id: a\n", "f:1:1: `transport` is missing"},
        {"EmptyId", "id: \"\"\ntransport: STDIO\n", "f:1:5: `id` must not be empty"},
        {"NullId", "id:\ntransport: STDIO\n", ": `id` must be a text"},
        {"ListId", "id: [a]\ntransport: STDIO\n", "f:1:5: `id` must be a text"},
        {"UnknownKey", "id: a\ntransport: STDIO\ncomand: x\n", "f:3:1: unknown key `comand`"},
        {"SnakeCase", "id: a\ntransport: STDIO\nenv:\n  - {name: A, org_secret: B}\n",
         "f:4:15: unknown key `org_secret`"},
        {"MapKey", "? {a: b}\n: c\n", "f:1:3: a key must be a word"},
        {"KeyThatMayBeAValue", "id: a\ntransport: STDIO\nenv:\n- {name: X, static:hunter2}\n",
         "f:4:13: unknown key (not shown)"},
        {"AliasThatMayBeAValue", "id: a\ntransport: STDIO\ncommand: *hunter2\n",
         "f:3:10: the referenced anchor is not defined"},
        {"DuplicateKey", "id: a\ntransport: STDIO\nid: b\n", "f:3:1: `id` is given twice"},
        {"Transport", "id: a\ntransport: stdio\n", "f:2:12: `transport` must be STDIO or HTTP"},
        {"ArgsText", "id: a\ntransport: STDIO\nargs: x\n", "f:3:7: `args` must be a list"},
        {"ArgsNested", "id: a\ntransport: STDIO\nargs: [[x]]\n", "f:3:8: `args` must be a text"},
        {"ArgsNull", "id: a\ntransport: STDIO\nargs: [~]\n", "f:3:8: `args` must be a text"},
        {"EnvMap", "id: a\ntransport: STDIO\nenv: {A: b}\n", "f:3:6: `env` must be a list"},
        {"BindingText", "id: a\ntransport: STDIO\nenv: [A]\n", "f:3:7: a binding must be a map"},
        {"NoName", "id: a\ntransport: STDIO\nenv: [{static: sekrit}]\n", "f:3:7: the binding has no `name`"},
        {"NoSource", "id: a\ntransport: STDIO\nenv: [{name: A}]\n", "f:3:7: the binding has no source"},
        {"TwoSources", "id: a\ntransport: STDIO\nenv: [{name: A, static: sekrit, oauth: g}]\n",
         "f:3:33: `oauth` is a second source"},
        {"BindingKeyTwice", "id: a\ntransport: STDIO\nenv: [{name: A, name: A, static: x}]\n",
         "f:3:17: `name` is given twice"},
        {"UnknownBindingKey", "id: a\ntransport: STDIO\nenv: [{name: A, value: sekrit}]\n",
         "f:3:17: unknown key `value`"},
        {"VariableTwice", "id: a\ntransport: STDIO\nenv:\n  - {name: A, static: x}\n  - {name: A, static: y}\n",
         "f:5:5: the variable `A` is bound twice"},
        {"RequiredText", "id: a\ntransport: STDIO\nenv: [{name: A, static: x, required: no}]\n",
         "f:3:38: `required` must be true or false"},
        {"EmptyTemplate", "id: a\ntransport: STDIO\nenv: [{name: A, static: x, template: \"\"}]\n",
         "`template` must not be empty"},
        {"StaticNull", "id: a\ntransport: STDIO\nenv: [{name: A, static: }]\n", "`static` must be a text"},
        {"Tagged", "id: a\ntransport: STDIO\nenv: [{name: A, static: !!binary c2Vrcml0}]\n", "without a tag"},
        {"MergeKey", "x: &x {id: a}\n<<: *x\n", "f:1:1: unknown key `x`"},
        {"UndefinedAlias", "id: *nowhere\n", "f:1:"},
        {"SecondDocument", "id: a\ntransport: STDIO\n---\nid: b\ntransport: X\n", "f:5:12: `transport`"},
        {"SameServerTwice", "id: a\ntransport: STDIO\n---\nid: a\ntransport: STDIO\n", "f:4:1: the MCP server `a`"},
        {"NotUtf8", "id: a\ncommand: \"\xff\"\n", "f:2:11: not UTF-8 text"},
        {"Overlong", "id: \"\xc0\x80\"\n", "f:1:6: not UTF-8 text"},
        {"Surrogate", "id: \"\xed\xa0\x80\"\n", "f:1:6: not UTF-8 text"},
        {"CutShort", "id: \xe2\x82", "f:1:5: not UTF-8 text"},
    }),
    [](const testing::TestParamInfo<BadFile>& info) { return info.param.name; });

TEST(McpServerFileTest, NulByte) {
  EXPECT_THAT(std::string(ParseMcpServerFile(absl::string_view("id: a\0b", 7), "f").status().message()),
              HasSubstr("f:1:6: not UTF-8 text"));
}

TEST(McpServerFileTest, EveryCutAndFlipIsAnswered) {
  const std::string whole = kExample;
  for (size_t size = 0; size < whole.size(); ++size)
    ParseMcpServerFile(whole.substr(0, size), "f").status().IgnoreError();
  for (size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string damaged = whole;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    ParseMcpServerFile(damaged, "f").status().IgnoreError();
  }
}

TEST(McpServerFileTest, DeepNestingIsRefused) { EXPECT_FALSE(ParseMcpServerFile(std::string(100000, '['), "f").ok()); }

}  // namespace
}  // namespace keyferry::client
