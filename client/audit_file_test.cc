#include "client/audit_file.h"

#include <functional>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"

namespace keyferry::client {
namespace {

using Lines = std::vector<std::string>;

constexpr int kEntries = 5;

// An export of five entries, made with another program: hashes after the specification in audit.proto.
constexpr char kHashes[kEntries][65] = {
    "fd92fb206126436ba7f194394ea6d93c2c7f8fd55198224132574e9b0026a341",
    "374c7b86b2b06d4b2a5655e5bb410b822631b456c3239b3146f7bd094875cd4f",
    "26b73226abd5c327bdf0979252979ff8e691a6568d3e1210286c3e41d4c0cccc",
    "8935f50b947a146cc0895b219b4dc8e8e68882cdf7e3c9e0ce6cc18f8d94f9d1",
    "502d632e8a5cdf09c9e369a368e6b2d4a5ed74cd5bb0862d6740c54274012ce4",
};

v1::AuditEntry Entry(int sequence) {
  v1::AuditEntry entry;
  entry.set_sequence(sequence);
  entry.mutable_time()->set_seconds(1800000000 + sequence);
  entry.set_principal("orgs/acme/users/ada");
  entry.set_peer("ipv4:127.0.0.1:1000");
  entry.set_method("CredentialService/RotateCredential");
  entry.set_resource("orgs/acme/credentials/A");
  if (sequence % 2 == 0) {
    entry.set_code(7);
    entry.set_reason("PERMISSION_DENIED");
  } else {
    entry.add_credentials()->set_credential("orgs/acme/credentials/A");
    entry.mutable_credentials(0)->set_version(sequence);
  }
  entry.set_hash(absl::HexStringToBytes(kHashes[sequence - 1]));
  return entry;
}

v1::AuditHead HeadAt(int sequence, int first = 1) {
  v1::AuditHead head;
  head.set_sequence(sequence);
  head.set_hash(absl::HexStringToBytes(kHashes[sequence - 1]));
  head.set_first_sequence(first);
  head.set_first_previous_hash(first == 1 ? std::string(32, '\0') : absl::HexStringToBytes(kHashes[first - 2]));
  return head;
}

Lines Export(int first = 1, int last = kEntries) {
  Lines lines;
  for (int i = first; i <= last; ++i) lines.push_back(AuditEntryLine("acme", Entry(i)));
  return lines;
}

Lines WithHead(Lines lines, const v1::AuditHead& head) {
  lines.push_back(AuditHeadLine("acme", head));
  return lines;
}

// "" or what is wrong.
std::string Check(const std::vector<Lines>& files, std::optional<v1::AuditHead> expected = std::nullopt) {
  AuditVerifier verifier(std::move(expected));
  for (const Lines& lines : files) {
    std::istringstream file(absl::StrJoin(lines, ""));
    const absl::Status read = verifier.Read(file, "f");
    if (!read.ok()) return std::string(read.message());
  }
  return std::string(verifier.Finish().message());
}
std::string Check(const Lines& lines, std::optional<v1::AuditHead> expected = std::nullopt) {
  return Check(std::vector<Lines>{lines}, std::move(expected));
}

TEST(AuditFileTest, AWholeExportPasses) {
  EXPECT_EQ(Check(WithHead(Export(), HeadAt(5))), "");
  EXPECT_EQ(Check(Export()), "");
  EXPECT_EQ(Check(WithHead({}, v1::AuditHead())), "f:1: not the head of an audit log");
  for (int i = 1; i <= kEntries; ++i) EXPECT_EQ(Check(Export(), HeadAt(i)), "") << i;
  AuditVerifier verifier(std::nullopt);
  std::istringstream file(absl::StrJoin(WithHead(Export(), HeadAt(5)), ""));
  EXPECT_TRUE(verifier.Read(file, "f").ok());
  EXPECT_EQ(verifier.entry_count(), 5);
  EXPECT_TRUE(verifier.ends_with_heads());
}

TEST(AuditFileTest, EveryEditOfEveryFieldIsFoundWhereItIs) {
  const std::vector<std::pair<std::string, std::function<void(v1::AuditEntry&)>>> edits = {
      {"time", [](auto& e) { e.mutable_time()->set_seconds(1); }},
      {"time added to", [](auto& e) { e.mutable_time()->set_nanos(1); }},
      {"principal", [](auto& e) { e.set_principal("orgs/acme/users/eve"); }},
      {"peer", [](auto& e) { e.clear_peer(); }},
      {"method", [](auto& e) { e.set_method("CredentialService/GetCredential"); }},
      {"resource", [](auto& e) { e.set_resource("orgs/acme/credentials/B"); }},
      {"code", [](auto& e) { e.set_code(e.code() + 1); }},
      {"reason", [](auto& e) { e.set_reason("X"); }},
      {"credential added", [](auto& e) { e.add_credentials()->set_version(1); }},
      {"user", [](auto& e) { e.set_user("orgs/acme/users/eve"); }},
      {"process", [](auto& e) { e.mutable_process()->set_host("h"); }},
      {"hash", [](auto& e) { (*e.mutable_hash())[0] ^= 1; }},
  };
  for (int i = 1; i <= kEntries; ++i) {
    for (const auto& [label, edit] : edits) {
      v1::AuditEntry edited = Entry(i);
      edit(edited);
      Lines lines = Export();
      lines[i - 1] = AuditEntryLine("acme", edited);
      const std::string problem = Check(WithHead(lines, HeadAt(5)));
      EXPECT_TRUE(absl::StartsWith(problem, absl::StrCat("f:", i, ": entry ", i, " "))) << label << ": " << problem;
    }
  }
}

TEST(AuditFileTest, AMissingEntryIsFound) {
  for (int i = 1; i <= kEntries; ++i) {
    Lines lines = Export();
    lines.erase(lines.begin() + i - 1);
    const std::string problem = Check(WithHead(lines, HeadAt(5)));
    EXPECT_TRUE(absl::StrContains(problem, absl::StrCat("entry ", i, " is missing"))) << problem;
  }
  EXPECT_TRUE(absl::StrContains(Check(WithHead({}, HeadAt(5))), "entry 1 is missing"));
}

TEST(AuditFileTest, AChangedOrderIsFound) {
  for (int i = 1; i < kEntries; ++i) {
    Lines lines = Export();
    std::swap(lines[i - 1], lines[i]);
    EXPECT_TRUE(absl::StrContains(Check(WithHead(lines, HeadAt(5))), absl::StrCat("entry "))) << i;
    EXPECT_NE(Check(WithHead(lines, HeadAt(5))), "");
  }
  Lines twice = Export();
  twice.insert(twice.begin() + 2, twice[1]);
  EXPECT_TRUE(absl::StrContains(Check(twice), "f:3: entry 2 is out of order")) << Check(twice);
}

TEST(AuditFileTest, ACutIsFoundByAHead) {
  for (int last = 0; last < kEntries; ++last) {
    EXPECT_NE(Check(WithHead(Export(1, last), HeadAt(5))), "") << last;
    const std::string problem = Check(Export(1, last), HeadAt(5));
    EXPECT_TRUE(absl::StartsWith(problem, absl::StrCat("entry ", last + 1, " is missing"))) << problem;
    // With its own head cut back as well, only one that was noted elsewhere tells.
    if (last == 0) continue;
    EXPECT_EQ(Check(WithHead(Export(1, last), HeadAt(last))), "");
    EXPECT_NE(Check(WithHead(Export(1, last), HeadAt(last)), HeadAt(5)), "");
  }
  Lines cut = Export();
  cut.back().pop_back();
  EXPECT_TRUE(absl::StrContains(Check(cut), "f:5: the line is cut off")) << Check(cut);
}

TEST(AuditFileTest, WhatIsAppendedIsFound) {
  Lines behind = WithHead(Export(1, 4), HeadAt(4));
  behind.push_back(AuditEntryLine("acme", Entry(5)));
  EXPECT_TRUE(absl::StrContains(Check(behind), "f:6: entry 5 stands behind the head")) << Check(behind);
  EXPECT_TRUE(absl::StrContains(Check(WithHead(Export(), HeadAt(4))), "entry 5 is newer than the head"));
  Lines forged = Export();
  v1::AuditEntry sixth = Entry(5);
  sixth.set_sequence(6);
  forged.push_back(AuditEntryLine("acme", sixth));
  EXPECT_TRUE(absl::StrContains(Check(forged), "entry 6 was changed, or does not follow entry 5"));
}

TEST(AuditFileTest, AnExpectedHeadMustBeInIt) {
  v1::AuditHead other = HeadAt(3);
  other.mutable_hash()->at(0) ^= 1;
  EXPECT_TRUE(absl::StrContains(Check(Export(), other), "entry 3 is not the one that the expected head names"));
  EXPECT_NE(Check(Lines{}, HeadAt(3)), "");
}

TEST(AuditFileTest, AFileThatBeginsLaterNeedsToKnowWhatWasBefore) {
  EXPECT_TRUE(absl::StrContains(Check(Export(3)), "entry 3 is the first of \"acme\""));
  EXPECT_EQ(Check(WithHead(Export(3), HeadAt(5, 3))), "") << "as retention leaves it";
  EXPECT_EQ(Check(Export(3), HeadAt(2)), "") << "the head before it";
  EXPECT_EQ(Check(Export(3), HeadAt(5, 3)), "");
  EXPECT_EQ(Check(Export(3), HeadAt(3, 3)), "");
  EXPECT_EQ(Check(std::vector<Lines>{Export(1, 2), Export(3)}), "") << "the file before it";
  EXPECT_EQ(Check(std::vector<Lines>{WithHead(Export(1, 2), HeadAt(2)), WithHead(Export(3), HeadAt(5))}), "");
  EXPECT_NE(Check(std::vector<Lines>{Export(1, 1), Export(3)}), "");
  EXPECT_NE(Check(WithHead(Export(3), HeadAt(5, 1))), "") << "the head says that there is more";
  v1::AuditHead wrong = HeadAt(5, 3);
  wrong.set_first_previous_hash(std::string(32, 'x'));
  EXPECT_TRUE(absl::StrContains(Check(WithHead(Export(3), wrong)), "entry 3 does not follow what was before it"));
}

TEST(AuditFileTest, LinesThatTwoReadersCouldReadDifferentlyAreRefused) {
  const std::string good = AuditEntryLine("acme", Entry(2));
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"\"code\":7", "\"code\":0,\"code\":7"},
           {"\"code\":7", "\"code\":7,\"note\":\"x\""},
           {"\"org\":\"acme\",", ""},
           {"\"org\":\"acme\"", "\"org\":7"},
           {"{", "[{"},
           {"\"seconds\"", "\"x\""},
           {"\"sequence\":\"2\"", "\"sequence\":\"-2\""},
       }) {
    const std::string bad = absl::StrReplaceAll(good, {{from, to}});
    if (bad == good) continue;
    EXPECT_TRUE(absl::StartsWith(Check({AuditEntryLine("acme", Entry(1)), bad}), "f:2: ")) << bad;
  }
  EXPECT_EQ(Check({AuditEntryLine("acme", Entry(1)), "\n"}), "f:2: not a line of an audit log");
}

TEST(AuditFileTest, SeveralOrganizationsHaveChainsOfTheirOwn) {
  Lines mixed;
  for (int i = 1; i <= kEntries; ++i) {
    mixed.push_back(AuditEntryLine("acme", Entry(i)));
    mixed.push_back(AuditEntryLine("", Entry(i)));
  }
  EXPECT_EQ(Check(mixed), "");
  EXPECT_NE(Check(mixed, HeadAt(5)), "") << "a head is of one";
  mixed.erase(mixed.begin() + 3);
  EXPECT_TRUE(absl::StrContains(Check(mixed), "entry 2 is missing"));
}

TEST(AuditFileTest, HeadsAreReadInBothForms) {
  const std::string line = AuditHeadLine("acme", HeadAt(4));
  const auto head = ParseAuditHead(line, "head.json");
  ASSERT_TRUE(head.ok());
  EXPECT_EQ(head->SerializeAsString(), HeadAt(4).SerializeAsString());
  const auto inner = ParseAuditHead(nlohmann::json::parse(line)["head"].dump(2), "head.json");
  ASSERT_TRUE(inner.ok());
  EXPECT_EQ(inner->SerializeAsString(), HeadAt(4).SerializeAsString());
  for (const char* text : {"", "{}", "[]", "{\"sequence\": \"1\", \"hash\": \"AA==\"}", "{\"sequence\": \"-1\"}"}) {
    EXPECT_FALSE(ParseAuditHead(text, "head.json").ok()) << text;
  }
}

}  // namespace
}  // namespace keyferry::client
