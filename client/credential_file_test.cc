#include "client/credential_file.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace keyferry::client {
namespace {

// "NAME=value(description,seconds)|" for each credential, or the error.
std::string Read(const std::string& text, CredentialFileFormat format) {
  const auto credentials = ParseCredentialFile(text, format, "f");
  if (!credentials.ok()) return std::string(credentials.status().message());
  std::string shown;
  for (const FileCredential& one : *credentials) {
    absl::StrAppend(&shown, one.name, "=", one.value.Expose());
    if (!one.description.empty() || one.rotate_by != absl::InfinitePast()) {
      absl::StrAppend(&shown, "(", one.description, ",", absl::ToUnixSeconds(one.rotate_by), ")");
    }
    absl::StrAppend(&shown, "|");
  }
  return shown;
}

using Cases = std::vector<std::pair<std::string, std::string>>;

TEST(CredentialFileTest, ReadsEveryFormat) {
  EXPECT_EQ(Read("B=1\nexport A='x y'", CredentialFileFormat::kDotenv), "B=1|A=x y|");
  for (const auto& [text, expected] :
       Cases{{R"({"B": "1", "A": "x y"})", "B=1|A=x y|"},
             {R"({"A": "q\"\\\n\u00e9\ud83d\ude00"})", "A=q\"\\\n\xc3\xa9\xf0\x9f\x98\x80|"},
             {"{\n \"A\": {\"value\": \"v\", \"description\": \"d\", \"rotateBy\": \"2027-01-31\"}}",
              "A=v(d,1801353600)|"},
             {R"({"A": {"rotateBy": "1970-01-01T00:00:05Z", "value": "v"}})", "A=v(,5)|"}}) {
    EXPECT_EQ(Read(text, CredentialFileFormat::kJson), expected) << text;
    if (text.find("\\u") != std::string::npos) continue;
    EXPECT_EQ(Read(text, CredentialFileFormat::kYaml), expected) << text;
  }
  for (const auto& [text, expected] : Cases{{"# c\nB: 1\nA: 'x y'\n", "B=1|A=x y|"},
                                            {"A: 0123\nB: true\nC: 1e3", "A=0123|B=true|C=1e3|"},
                                            {"A: |\n  two\n  lines\n", "A=two\nlines\n|"},
                                            {"A:\n  value: v\n  description: d\n", "A=v(d,-9223372036854775808)|"}}) {
    EXPECT_EQ(Read(text, CredentialFileFormat::kYaml), expected) << text;
  }
}

TEST(CredentialFileTest, RefusesWithAPlaceAndNothingOfAValue) {
  for (const auto& [text, place] : Cases{{"", "f:1:1"},
                                         {"[]", "f:1:1"},
                                         {"\"sekrit\"", "f:1:8"},
                                         {"{}", "f:1:1"},
                                         {"{\"A\": \"sekrit\"", "f:1:15"},
                                         {"{\"A\": \"sekrit\"} x", "f:1:17"},
                                         {"{\"A\":\n \"sek\x01rit\"}", "f:2:6"},
                                         {"{\"A\": \"sek\xffrit\"}", "f:1:11"},
                                         {"{\"A\": 17}", "f:1:9"},
                                         {"{\"A\": null}", "f:1:10"},
                                         {"{\"A\": [\"sekrit\"]}", "f:1:7"},
                                         {"{\"A\": \"\"}", "f:1:8"},
                                         {"{\"A\": \"sek\\u0000rit\"}", "f:1:20"},
                                         {"{\"sekrit key\": \"x\"}", "f:1:13"},
                                         {"{\"A\": \"x\",\n\"A\": \"sekrit\"}", "f:2:3"},
                                         {"{\"A\": {}}", "f:1:8"},
                                         {"{\"A\": {\"value\": {\"value\": \"sekrit\"}}}", "f:1:17"},
                                         {"{\"A\": {\"sekrit\": \"x\"}}", "f:1:15"},
                                         {"{\"A\": {\"value\": \"x\", \"value\": \"sekrit\"}}", "f:1:28"},
                                         {"{\"A\": {\"value\": \"x\", \"rotateBy\": \"sekrit\"}}", "f:1:41"}}) {
    const std::string error = Read(text, CredentialFileFormat::kJson);
    EXPECT_EQ(error.substr(0, error.find(": ")), place) << text << ": " << error;
    EXPECT_EQ(error.find("sekrit"), std::string::npos) << error;
    EXPECT_EQ(error.find("sek"), std::string::npos) << error;
  }
  for (const auto& [text, place] : Cases{{"", "f:1:1"},
                                         {",", "f:1:1"},
                                         {"sekrit", "f:1:1"},
                                         {"- sekrit", "f:1:1"},
                                         {"A: x\n---\nB: sekrit", "f:1:1"},
                                         {"A: x\nB: [sekrit]", "f:2:4"},
                                         {"B: x\nA:", "f:2:1"},
                                         {"A: !!binary sekrit", "f:1:4"},
                                         {"A: x\nA: sekrit", "f:2:1"},
                                         {"sekrit key: x", "f:1:1"},
                                         {"? [sekrit]\n: x", "f:1:3"},
                                         {"A: {value: x, sekrit: y}", "f:1:15"},
                                         {"A: {description: x}", "f:1:4"},
                                         {"A: {value: x, rotateBy: sekrit}", "f:1:25"},
                                         {"A: 'sekrit", "f:1:11"},
                                         {"A: \"\"", "f:1:4"},
                                         {"A: x\nB: sek\xffrit", "f:2:7"}}) {
    const std::string error = Read(text, CredentialFileFormat::kYaml);
    EXPECT_EQ(error.substr(0, error.find(": ")), place) << text << ": " << error;
    EXPECT_EQ(error.find("sek"), std::string::npos) << error;
  }
}

TEST(CredentialFileTest, ValuesHaveUpTo64KiB) {
  const std::string most(64 * 1024, 'x');
  EXPECT_EQ(Read("{\"A\": \"" + most + "\"}", CredentialFileFormat::kJson), "A=" + most + "|");
  EXPECT_EQ(Read("{\"A\": \"" + most + "x\"}", CredentialFileFormat::kJson).substr(0, 8), "f:1:6554");
  EXPECT_EQ(Read("A: " + most, CredentialFileFormat::kYaml), "A=" + most + "|");
  EXPECT_EQ(Read("A: " + most + "x", CredentialFileFormat::kYaml).substr(0, 5), "f:1:4");
}

}  // namespace
}  // namespace keyferry::client
