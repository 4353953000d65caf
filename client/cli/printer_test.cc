#include "client/cli/printer.h"

#include <sstream>
#include <string>

#include "gtest/gtest.h"
#include "keyferry/v1/credentials.pb.h"
#include "yaml-cpp/yaml.h"

namespace keyferry::client::cli {
namespace {

class PrinterTest : public testing::Test {
 protected:
  static v1::Credential MakeCredential() {
    v1::Credential credential;
    credential.set_name("orgs/dev/credentials/A");
    credential.set_description("line\nbreak \x1b[31m");
    credential.set_status(v1::CREDENTIAL_STATUS_SUSPENDED);
    credential.set_version(3);
    credential.mutable_update_time()->set_seconds(1000);
    return credential;
  }

  Printer MakePrinter(OutputFormat format, bool human_times = false) {
    return Printer(format, human_times, absl::FromUnixSeconds(1000 + 3 * 3600), output_);
  }

  std::ostringstream output_;
};

TEST_F(PrinterTest, TableShowsSetFieldsAndNoControlCharacters) {
  MakePrinter(OutputFormat::kTable).Message(MakeCredential());
  EXPECT_EQ(output_.str(),
            "Name:              orgs/dev/credentials/A\n"
            "Description:       line?break ?[31m\n"
            "Status:            SUSPENDED\n"
            "Version:           3\n"
            "Update time:       1970-01-01T00:16:40Z\n"
            "Previous version:  0\n"
            "Rotation overdue:  false\n");
}

TEST_F(PrinterTest, ListsAreAligned) {
  const v1::Credential first = MakeCredential();
  v1::Credential second;
  second.set_name("orgs/dev/credentials/L\xc3\xa4nger");
  MakePrinter(OutputFormat::kTable, /*human_times=*/true)
      .List({&first, &second}, {{"NAME", "name", true}, {"UPDATED", "update_time"}, {"STATUS", "status"}});
  EXPECT_EQ(output_.str(),
            "NAME    UPDATED      STATUS\n"
            "A       3 hours ago  SUSPENDED\n"
            "L\xc3\xa4nger  -            -\n");
}

TEST_F(PrinterTest, JsonHasEverySingularField) {
  MakePrinter(OutputFormat::kJson).Message(MakeCredential());
  for (const char* expected : {"\"version\": \"3\"", "\"lastUseMcpServer\": \"\"", "\"previousVersion\": \"0\"",
                               "\"updateTime\": \"1970-01-01T00:16:40Z\""}) {
    EXPECT_NE(output_.str().find(expected), std::string::npos) << output_.str();
  }
}

TEST(JsonToYamlTest, ReadsBackAsTheSameTexts) {
  const char* const kTexts[] = {
      "true",         "no",   "null",  "1",        "1.5", "",   " x", "a: b", "#c", "- d", "2027-01-01", "\\n",
      "line\\nbreak", "\\\"", "plain", "orgs/dev", "~",   "*a", "&a", "!t",   "%",  "@",   "`"};
  for (const char* text : kTexts) {
    const std::string json = std::string("{\"list\": [\"") + text + "\"], \"key\": {\"inner\": \"" + text + "\"}}";
    const YAML::Node expected = YAML::Load(json);
    const YAML::Node actual = YAML::Load(JsonToYaml(json));
    EXPECT_EQ(actual["list"][0].Scalar(), expected["list"][0].Scalar()) << JsonToYaml(json);
    EXPECT_EQ(actual["key"]["inner"].Scalar(), expected["key"]["inner"].Scalar());
    EXPECT_FALSE(actual["list"][0].IsNull());
  }
}

TEST(JsonToYamlTest, Layout) {
  EXPECT_EQ(JsonToYaml(R"({"a": [{"b": 1, "c": ["x"]}, {"b": true}], "d": {}, "e": [], "f": null})"),
            "a:\n  - b: 1\n    c:\n      - x\n  - b: true\nd: {}\ne: []\nf: null\n");
  EXPECT_EQ(JsonToYaml("[]"), "[]\n");
  EXPECT_EQ(JsonToYaml(R"(["a"])"), "- a\n");
}

TEST(HumanTimeTest, Distances) {
  const absl::Time now = absl::FromUnixSeconds(10000000);
  const struct {
    absl::Duration distance;
    const char* expected;
  } kCases[] = {
      {absl::ZeroDuration(), "now"},          {absl::Seconds(-1), "1 second ago"},
      {absl::Seconds(-90), "90 seconds ago"}, {absl::Minutes(-3), "3 minutes ago"},
      {absl::Hours(23), "in 23 hours"},       {absl::Hours(47), "in 47 hours"},
      {absl::Hours(48), "in 2 days"},         {absl::Hours(24 * 800), "in 2 years"},
  };
  for (const auto& test : kCases) EXPECT_EQ(HumanTime(now + test.distance, now), test.expected);
}

}  // namespace
}  // namespace keyferry::client::cli
