#include "injector/exec/environment.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/exec/variable_names.h"

namespace keyferry::injector {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> Texts(Environment& environment) {
  std::vector<std::string> texts;
  for (char* const* entry = environment.pointers(); *entry != nullptr; ++entry) texts.emplace_back(*entry);
  return texts;
}

struct BuildCase {
  std::string name;
  std::vector<std::string> inherited;
  InheritRules rules;
  std::vector<BoundVariable> bindings;
  std::vector<std::string> want;
};

class BuildEnvironmentTest : public testing::TestWithParam<BuildCase> {};

TEST_P(BuildEnvironmentTest, Builds) {
  const BuildCase& param = GetParam();
  std::vector<const char*> inherited;
  for (const std::string& entry : param.inherited) inherited.push_back(entry.c_str());
  inherited.push_back(nullptr);
  absl::StatusOr<Environment> environment = BuildEnvironment(inherited.data(), param.rules, param.bindings);
  ASSERT_TRUE(environment.ok()) << environment.status();
  EXPECT_THAT(Texts(*environment), ElementsAreArray(param.want));
  EXPECT_EQ(environment->size(), param.want.size());
}

INSTANTIATE_TEST_SUITE_P(
    Table, BuildEnvironmentTest,
    testing::Values(
        BuildCase{"Nothing", {}, {}, {}, {}},
        BuildCase{"KeepsTheCallers", {"A=1", "PATH=/bin", "EMPTY="}, {}, {}, {"A=1", "PATH=/bin", "EMPTY="}},
        BuildCase{"AddsBindings", {"A=1"}, {}, {{"B", "2"}, {"C", ""}}, {"A=1", "B=2", "C="}},
        BuildCase{"BindingReplacesTheCallers", {"A=old", "B=1"}, {}, {{"A", "new"}}, {"B=1", "A=new"}},
        BuildCase{"BindingReplacesEveryDuplicate", {"A=x", "B=1", "A=y"}, {}, {{"A", "new"}}, {"B=1", "A=new"}},
        BuildCase{"DropsOwnIdentity",
                  {"KEYFERRY_ADDRESS=a", "KEYFERRY_TOKEN_FILE=t", "KEYFERRY_=x", "A=1", "KEYFERRYX=kept"},
                  {},
                  {},
                  {"A=1", "KEYFERRYX=kept"}},
        BuildCase{"DropsOwnIdentityWhenClean", {"KEYFERRY_ORG=dev", "HOME=/h"}, {true, {}}, {}, {"HOME=/h"}},
        BuildCase{"Unset", {"A=1", "AB=2", "B=3"}, {false, {"A", "B", "ABSENT"}}, {}, {"AB=2"}},
        BuildCase{"UnsetNameCanStillBeBound", {"A=1"}, {false, {"A"}}, {{"A", "2"}}, {"A=2"}},
        BuildCase{"Clean",
                  {"HOME=/h", "PATH=/bin", "USER=u", "LANG=C", "LC_ALL=C", "LC_TIME=C", "TERM=vt", "TZ=UTC",
                   "TMPDIR=/t", "SHELL=/bin/sh", "HOMER=x", "LANGUAGE=de", "AWS_SECRET_ACCESS_KEY=x", "LC=x"},
                  {true, {}},
                  {{"A", "1"}},
                  {"HOME=/h", "PATH=/bin", "USER=u", "LANG=C", "LC_ALL=C", "LC_TIME=C", "TERM=vt", "TZ=UTC",
                   "TMPDIR=/t", "A=1"}},
        BuildCase{"CleanAndUnset", {"HOME=/h", "PATH=/bin"}, {true, {"HOME"}}, {}, {"PATH=/bin"}},
        BuildCase{"ValueWithEqualsAndNewline", {}, {}, {{"A", "x=y\nz"}}, {"A=x=y\nz"}},
        BuildCase{"CallersHijackingNamesAreTheCallersOwn", {"LD_PRELOAD=x"}, {}, {}, {"LD_PRELOAD=x"}},
        BuildCase{"EntryWithoutEquals", {"ODD", "KEYFERRY_ODD"}, {}, {}, {"ODD"}}),
    [](const auto& info) { return info.param.name; });

TEST(BuildEnvironment, NoInheritedEnvironment) {
  absl::StatusOr<Environment> environment = BuildEnvironment(nullptr, {}, {{"A", "1"}});
  ASSERT_TRUE(environment.ok());
  EXPECT_THAT(Texts(*environment), ElementsAreArray({"A=1"}));
}

constexpr char kSecret[] = "s3cr3t-value";

TEST(BuildEnvironment, TakesAHijackingNameOnlyWithTheOrganizationsPermissionAndNeverOurs) {
  absl::StatusOr<Environment> environment = BuildEnvironment(nullptr, {}, {{"NODE_OPTIONS", "-x", true}, {"A", "1"}});
  ASSERT_TRUE(environment.ok()) << environment.status();
  EXPECT_THAT(Texts(*environment), ElementsAreArray({"NODE_OPTIONS=-x", "A=1"}));
  for (const char* name : {"KEYFERRY_TOKEN", "KEYFERRY_"}) {
    EXPECT_TRUE(absl::IsPermissionDenied(BuildEnvironment(nullptr, {}, {{name, kSecret, true}}).status())) << name;
  }
}

TEST(BuildEnvironment, RefusesEveryHijackingName) {
  for (const char* name : {"LD_PRELOAD",
                           "LD_LIBRARY_PATH",
                           "LD_",
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
                           "KEYFERRY_ADDRESS",
                           "KEYFERRY_"}) {
    const absl::Status status = BuildEnvironment(nullptr, {}, {{name, kSecret}}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(name));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr(kSecret)));
  }
}

TEST(BuildEnvironment, RefusesBadBindings) {
  const absl::string_view with_nul("s3cr3t-value\0x", 14);
  const struct {
    std::string name;
    std::vector<BoundVariable> bindings;
  } cases[] = {
      {"empty name", {{"", kSecret}}},
      {"digit first", {{"1A", kSecret}}},
      {"equals in the name", {{"A=B", kSecret}}},
      {"NUL in the name", {{absl::string_view("A\0B", 3), kSecret}}},
      {"too long", {{std::string(129, 'A'), kSecret}}},
      {"twice", {{"A", kSecret}, {"A", "2"}}},
      {"NUL in the value", {{"A", with_nul}}},
  };
  for (const auto& test : cases) {
    const absl::Status status = BuildEnvironment(nullptr, {}, test.bindings).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << test.name;
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr(kSecret))) << test.name;
  }
}

TEST(Environment, FindAndMove) {
  Environment environment;
  environment.Append("AB=2");
  environment.Append("A", "1");
  EXPECT_STREQ(environment.Find("A"), "1");
  EXPECT_EQ(environment.Find("B"), nullptr);
  Environment moved = std::move(environment);
  EXPECT_STREQ(moved.Find("AB"), "2");
  EXPECT_EQ(environment.size(), 0);             // NOLINT: a moved-from environment is empty
  EXPECT_EQ(*environment.pointers(), nullptr);  // NOLINT
}

TEST(VariableNames, LongestNameIsAccepted) {
  EXPECT_TRUE(IsVariableName(std::string(128, 'A')));
  EXPECT_FALSE(IsVariableName(std::string(129, 'A')));
}

}  // namespace
}  // namespace keyferry::injector
