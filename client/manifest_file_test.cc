#include "client/manifest_file.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::client {
namespace {

using Json = nlohmann::json;

Json One(const std::string& text) {
  const auto objects = ParseManifestFile(text, "pod.yaml");
  EXPECT_TRUE(objects.ok()) << objects.status();
  if (!objects.ok() || objects->size() != 1) return Json();
  return (*objects)[0];
}

std::string Problem(const std::string& text) {
  const auto objects = ParseManifestFile(text, "pod.yaml");
  EXPECT_FALSE(objects.ok());
  return std::string(objects.status().message());
}

TEST(ManifestFileTest, ScalarsAreWhatKubernetesTakesThemFor) {
  const struct {
    const char* yaml;
    const char* json;
  } kCases[] = {
      {"0644", "420"},
      {"0o644", "420"},
      {"0x1F", "31"},
      {"0b101", "5"},
      {"1_000", "1000"},
      {"-7", "-7"},
      {"+7", "7"},
      {"1e3", "1000"},
      {"0.5", "0.5"},
      {"true", "true"},
      {"False", "false"},
      {"~", "null"},
      {"", "null"},
      {"null", "null"},
      {"\"0644\"", "\"0644\""},
      {"'yes'", "\"yes\""},
      {"!!str 5", "\"5\""},
      {"1.2.3", "\"1.2.3\""},
      {"10m", "\"10m\""},
      {"8080/tcp", "\"8080/tcp\""},
      {"-", "[null]"},
      {"e5", "\"e5\""},
      {"2024-01-02", "\"2024-01-02\""},
      {"08", "8"},
      {"9223372036854775807", "9223372036854775807"},
  };
  for (const auto& one : kCases) {
    const std::string text = std::string("a:") + (one.yaml[0] == '-' && one.yaml[1] == 0 ? "\n  " : " ") + one.yaml;
    EXPECT_EQ(One(text)["a"], Json::parse(one.json)) << one.yaml;
  }
}

TEST(ManifestFileTest, DocumentsAndAliases) {
  const auto objects = ParseManifestFile("---\na: &x [1]\nb: *x\n---\n---\nc: |\n  two\n  lines\n", "pod.yaml");
  ASSERT_TRUE(objects.ok()) << objects.status();
  ASSERT_EQ(objects->size(), 2u);
  EXPECT_EQ((*objects)[0], Json::parse(R"({"a": [1], "b": [1]})"));
  EXPECT_EQ((*objects)[1]["c"], "two\nlines\n");
  EXPECT_EQ(One(R"({"kind": "Pod", "spec": {"x": [true, null]}})")["spec"]["x"][0], true);
}

TEST(ManifestFileTest, RefusesWhatReadersTakeDifferently) {
  EXPECT_THAT(Problem("a: yes"), testing::HasSubstr("pod.yaml:1:4: "));
  EXPECT_THAT(Problem("a: yes"), testing::HasSubstr("quote it"));
  EXPECT_THAT(Problem("b: 1\na: 2\na: 3"), testing::HasSubstr("pod.yaml:3:1: `a` is given twice"));
  EXPECT_THAT(Problem("x: &x {a: 1}\ny:\n  <<: *x"), testing::HasSubstr("merge keys"));
  EXPECT_THAT(Problem("a: !!binary aGk="), testing::HasSubstr("tag"));
  EXPECT_THAT(Problem("a: .nan"), testing::HasSubstr("no number"));
  EXPECT_THAT(Problem("- a"), testing::HasSubstr("no object"));
  EXPECT_THAT(Problem("a: [1"), testing::HasSubstr("pod.yaml:"));
  EXPECT_THAT(Problem("a: \"\xff\""), testing::HasSubstr("UTF-8"));
}

TEST(ManifestFileTest, IsBounded) {
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 8; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 0; j < 9; ++j) laughs += ", " + before;
    laughs += "]\n";
  }
  EXPECT_THAT(Problem(laughs), testing::HasSubstr("too many nodes"));
  EXPECT_THAT(Problem("a: " + std::string(80, '[') + std::string(80, ']')), testing::HasSubstr("too deeply"));
  EXPECT_THAT(Problem(","), testing::HasSubstr("pod.yaml:1:1: "));
}

}  // namespace
}  // namespace keyferry::client
