#include "server/names.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/errors.h"

namespace keyferry::server {
namespace {

bool IsInvalidField(const absl::Status& status, const std::string& field) {
  v1::ErrorDetail detail;
  return status.code() == absl::StatusCode::kInvalidArgument && GetDetail(status, &detail) && detail.field() == field &&
         !detail.next_step().empty();
}

TEST(ParseParentTest, AcceptsEveryKind) {
  struct Case {
    std::string name;
    ParentName::Kind kind;
    std::string id;
    std::string record_parent;
    v1::CredentialScope scope;
  };
  for (const Case& c :
       {Case{"orgs/acme", ParentName::kOrg, "", "", v1::CREDENTIAL_SCOPE_ORG},
        Case{"orgs/acme/teams/eng", ParentName::kTeam, "eng", "teams/eng", v1::CREDENTIAL_SCOPE_TEAM},
        Case{"orgs/acme/users/ada", ParentName::kUser, "ada", "users/ada", v1::CREDENTIAL_SCOPE_USER},
        Case{"orgs/acme/services/ci", ParentName::kService, "ci", "services/ci", v1::CREDENTIAL_SCOPE_UNSPECIFIED},
        Case{"orgs/acme/workloads/w1", ParentName::kWorkload, "w1", "workloads/w1",
             v1::CREDENTIAL_SCOPE_UNSPECIFIED}}) {
    SCOPED_TRACE(c.name);
    const auto parent = ParseParent(c.name, "parent");
    ASSERT_TRUE(parent.ok()) << parent.status();
    EXPECT_EQ(parent->kind, c.kind);
    EXPECT_EQ(parent->org, "acme");
    EXPECT_EQ(parent->id, c.id);
    EXPECT_EQ(parent->RecordParent(), c.record_parent);
    EXPECT_EQ(parent->Scope(), c.scope);
    EXPECT_EQ(parent->Name(), c.name);
  }
}

TEST(ParseParentTest, RefusesEverythingElse) {
  const std::vector<std::string> names = {"",
                                          "/",
                                          "orgs",
                                          "orgs/",
                                          "/orgs/acme",
                                          "orgs/acme/",
                                          "orgs//",
                                          "org/acme",
                                          "orgs/Acme",
                                          "orgs/acme/x",
                                          "orgs/acme/teams",
                                          "orgs/acme/teams/",
                                          "orgs/../x",
                                          "orgs/a b",
                                          "ORGS/acme",
                                          "orgs/acme\n",
                                          "orgs/acme/groups/g",
                                          "orgs/acme/teams/eng/users/u",
                                          "orgs/-acme",
                                          "orgs/acme%2",
                                          "orgs/acm\xc3\xa9",
                                          "orgs/acme//teams/eng",
                                          "orgs/" + std::string(64, 'a'),
                                          "orgs/" + std::string(600, 'a'),
                                          std::string("orgs/a\0b", 8)};
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    EXPECT_TRUE(IsInvalidField(ParseParent(name, "parent").status(), "parent"));
  }
}

TEST(ParseChildTest, SplitsParentAndId) {
  const auto child = ParseChild("orgs/acme/teams/eng/credentials/GITHUB_TOKEN", "credentials", "name");
  ASSERT_TRUE(child.ok()) << child.status();
  EXPECT_EQ(child->parent.Name(), "orgs/acme/teams/eng");
  EXPECT_EQ(child->id, "GITHUB_TOKEN");
  EXPECT_EQ(child->Name("credentials"), "orgs/acme/teams/eng/credentials/GITHUB_TOKEN");
  const auto user = ParseChild("orgs/acme/users/ada", "users", "name");
  ASSERT_TRUE(user.ok()) << user.status();
  EXPECT_EQ(user->parent.Name(), "orgs/acme");
  EXPECT_EQ(user->id, "ada");
}

TEST(ParseChildTest, RefusesEverythingElse) {
  for (const std::string name : {"", "/", "//", "credentials/X", "/credentials/X", "orgs/acme/credentials/",
                                 "orgs/acme/secrets/X", "orgs/acme/credentials", "orgs/acme/credentials/X/", "X",
                                 "orgs/acme//credentials/X", "orgs/acme/groups/g/credentials/X"}) {
    SCOPED_TRACE(name);
    EXPECT_TRUE(IsInvalidField(ParseChild(name, "credentials", "name").status(), "name"));
  }
}

TEST(CheckIdTest, Boundaries) {
  for (const std::string good : {"a", "0", "a-b", "a.b_c-d", "x9"}) EXPECT_TRUE(CheckId(good, "f").ok()) << good;
  EXPECT_TRUE(CheckId(std::string(63, 'a'), "f").ok());
  for (const std::string bad : {"", "-a", "a-", ".", "a.", "A", "a/b", "a b", "a\n", "\xc3\xa9"}) {
    EXPECT_TRUE(IsInvalidField(CheckId(bad, "f"), "f")) << bad;
  }
  EXPECT_TRUE(IsInvalidField(CheckId(std::string(64, 'a'), "f"), "f"));
}

TEST(CheckVariableNameTest, ShapeAndLength) {
  for (const std::string good : {"A", "_", "GITHUB_TOKEN", "a1", "PATHS", "MY_PATH", "ENVIRONMENT", "LD", "KEYFERRY"}) {
    EXPECT_TRUE(CheckVariableName(good, "f").ok()) << good;
  }
  EXPECT_TRUE(CheckVariableName(std::string(128, 'A'), "f").ok());
  for (const std::string bad : {"", "1A", "A-B", "A=B", "A B", "A\n", "\xc3\x84"}) {
    EXPECT_TRUE(IsInvalidField(CheckVariableName(bad, "f"), "f")) << bad;
  }
  EXPECT_TRUE(IsInvalidField(CheckVariableName(std::string(129, 'A'), "f"), "f"));
}

TEST(CheckVariableNameTest, RefusesNamesThatHijackAProcess) {
  const std::vector<std::string> names = {"LD_PRELOAD",
                                          "LD_LIBRARY_PATH",
                                          "DYLD_INSERT_LIBRARIES",
                                          "PATH",
                                          "IFS",
                                          "BASH_ENV",
                                          "ENV",
                                          "NODE_OPTIONS",
                                          "PYTHONPATH",
                                          "PYTHONSTARTUP",
                                          "PYTHONHOME",
                                          "PERL5LIB",
                                          "PERL5OPT",
                                          "RUBYOPT",
                                          "RUBYLIB",
                                          "JAVA_TOOL_OPTIONS",
                                          "_JAVA_OPTIONS",
                                          "GCONV_PATH",
                                          "GIT_SSH_COMMAND",
                                          "KEYFERRY_TOKEN"};
  for (const std::string& name : names) EXPECT_TRUE(IsInvalidField(CheckVariableName(name, "f"), "f")) << name;
}

TEST(CheckTextTest, AcceptsUtf8AndRefusesTheRest) {
  for (const std::string good : {"", "plain", "line\nline\ttab", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) {
    EXPECT_TRUE(CheckText(good, 16, "f").ok()) << good;
  }
  const std::vector<std::string> bad = {"\x01",         "\x7f",         "\x1b[31m",          "\xc2\x85", "\xff",
                                        "\xc0\x80",     "\xed\xa0\x80", "\xf4\x90\x80\x80",  "\xe2\x82", "\x80",
                                        "\xe0\x80\x80", "\xc3",         std::string(1, '\0')};
  for (const std::string& text : bad) EXPECT_TRUE(IsInvalidField(CheckText(text, 16, "f"), "f"));
  EXPECT_TRUE(CheckText(std::string(16, 'x'), 16, "f").ok());
  EXPECT_TRUE(IsInvalidField(CheckText(std::string(17, 'x'), 16, "f"), "f"));
}

TEST(CheckValueTest, BoundariesAndNoEcho) {
  EXPECT_TRUE(CheckValue("x", "value").ok());
  EXPECT_TRUE(CheckValue("\xff\x01\n", "value").ok());
  EXPECT_TRUE(CheckValue(std::string(65536, 'v'), "value").ok());
  EXPECT_TRUE(IsInvalidField(CheckValue("", "value"), "value"));
  EXPECT_TRUE(IsInvalidField(CheckValue(std::string(65537, 'v'), "value"), "value"));
  const absl::Status nul = CheckValue(std::string("marker\0x", 8), "value");
  EXPECT_TRUE(IsInvalidField(nul, "value"));
  EXPECT_EQ(nul.ToString(absl::StatusToStringMode::kWithEverything).find("marker"), std::string::npos);
}

}  // namespace
}  // namespace keyferry::server
