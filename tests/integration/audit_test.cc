// Every call leaves exactly one entry in its caller's journal, which tells what happened and gives nothing away.
#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "gtest/gtest.h"
#include "keyferry/v1/audit.pb.h"
#include "storage/journal.h"
#include "tests/integration/bad_requests.h"
#include "tests/integration/world.h"

namespace keyferry::testing {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// All entries of an org's stored journal; fails unless the chain holds.
std::vector<v1::AuditEntry> Entries(World* world, const std::string& org) {
  // A view may show a buffered commit a moment later.
  EXPECT_TRUE(world->store()->Sync().ok());
  std::vector<v1::AuditEntry> entries;
  const auto damage = storage::VerifyJournal(*world->store()->View(), org, [&](const storage::JournalEntry& stored) {
    EXPECT_TRUE(entries.emplace_back().ParseFromString(stored.payload));
  });
  EXPECT_TRUE(damage.ok() && !damage->has_value()) << org;
  return entries;
}

int64_t CountOf(World* world, const std::string& org) {
  EXPECT_TRUE(world->store()->Sync().ok());
  const auto head = storage::ReadJournalHead(*world->store()->View(), org);
  return head.ok() ? static_cast<int64_t>(head->last_sequence) : -1;
}

std::string OrgOf(Who who) {
  if (who == Who::kNobody) return "";
  return who == Who::kRival ? "rival" : "acme";
}

// Texts of a request that must not get into the log: values, descriptions and other free text.
void CollectTexts(const Message& message, std::set<std::string>* texts) {
  static const auto* kMaySay = new std::set<std::string>{"name", "parent", "mcp_server", "team", "user"};
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->is_repeated()) continue;
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      CollectTexts(message.GetReflection()->GetMessage(message, field), texts);
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_STRING && kMaySay->count(field->name()) == 0) {
      const std::string text = message.GetReflection()->GetString(message, field);
      // Ids of what is made are part of its name.
      if (text.size() >= 8 && !absl::EndsWith(field->name(), "_id")) texts->insert(text);
    }
  }
}

std::string Method(const std::string& method) { return absl::StrReplaceAll(method, {{".", "/"}}); }

// The entry that the call left, which must be the only one.
v1::AuditEntry OnlyNew(World* world, const std::string& org, int64_t before, const std::string& label) {
  const std::vector<v1::AuditEntry> entries = Entries(world, org);
  EXPECT_EQ(static_cast<int64_t>(entries.size()), before + 1) << label;
  return entries.empty() ? v1::AuditEntry() : entries.back();
}

TEST(AuditTest, EveryGoodCallLeavesOneEntry) {
  World world;
  for (const MethodEntry& entry : AllEntries()) {
    // A stream leaves one for each environment that it gives out, and one for its end.
    if (entry.method == "ResolutionService.Watch") continue;
    world.LearnWords();
    // Its log goes with the org; the system's has it.
    const std::string org = entry.method == "DirectoryService.DeleteOrg" ? "" : OrgOf(entry.who);
    const int64_t before = CountOf(&world, org);
    const grpc::Status status = world.Call(entry.who, entry.method, entry.good);
    ASSERT_TRUE(status.ok()) << entry.method << ": " << status.error_message();
    const v1::AuditEntry left = OnlyNew(&world, org, before, entry.method);
    EXPECT_EQ(left.method(), Method(entry.method));
    EXPECT_EQ(left.code(), 0) << entry.method;
    EXPECT_EQ(left.reason(), "") << entry.method;
    EXPECT_TRUE(absl::StartsWith(left.principal(), absl::StrCat("orgs/", OrgOf(entry.who), "/"))) << entry.method;
    EXPECT_TRUE(absl::StartsWith(left.peer(), "ipv4:127.0.0.1:")) << left.peer();
    EXPECT_GT(left.time().seconds(), 0);
    std::set<std::string> texts;
    CollectTexts(*MakeRequest(entry.method, world.Fill(entry.good)), &texts);
    for (const std::string& text : texts) {
      EXPECT_FALSE(absl::StrContains(left.SerializeAsString(), text)) << entry.method << " tells a text of its request";
    }
  }
}

TEST(AuditTest, EveryRefusedCallLeavesOneEntry) {
  World world;
  int calls = 0;
  for (const MethodEntry& entry : AllEntries()) {
    int of_method = 0;
    for (const BadRequest& bad : entry.bad) {
      // Those who are refused, and a few of what is malformed: each sort is enough.
      const bool refusal = bad.code == grpc::PERMISSION_DENIED || bad.code == grpc::NOT_FOUND;
      if (!refusal && ++of_method % 10 != 1) continue;
      const std::string label = absl::StrCat(entry.method, ": ", bad.label);
      const std::string org = OrgOf(bad.who);
      const int64_t before = CountOf(&world, org);
      const grpc::Status status = world.Call(bad.who, entry.method, absl::StrCat(entry.good, " ", bad.edit));
      const v1::AuditEntry left = OnlyNew(&world, org, before, label);
      EXPECT_EQ(left.method(), Method(entry.method)) << label;
      EXPECT_EQ(left.code(), static_cast<int>(status.error_code())) << label;
      EXPECT_EQ(left.reason(), DetailOf(status).reason()) << label;
      EXPECT_EQ(left.credentials_size(), 0) << label;
      EXPECT_TRUE(absl::StartsWith(left.principal(), absl::StrCat("orgs/", org, "/"))) << label;
      ++calls;
    }
  }
  EXPECT_GE(calls, 200);
}

TEST(AuditTest, UnauthenticatedCallsGoToTheSystemsJournal) {
  World world;
  const int64_t acme = CountOf(&world, "acme");
  for (const MethodEntry& entry : AllEntries()) {
    const std::string& method = entry.method;
    const int64_t before = std::max<int64_t>(CountOf(&world, ""), 0);
    EXPECT_EQ(world.Call(Who::kNobody, method, "").error_code(), grpc::UNAUTHENTICATED);
    const v1::AuditEntry left = OnlyNew(&world, "", before, method);
    EXPECT_EQ(left.method(), Method(method));
    EXPECT_EQ(left.principal(), "");
    EXPECT_EQ(left.code(), static_cast<int>(grpc::UNAUTHENTICATED));
    EXPECT_EQ(left.reason(), "TOKEN_MISSING");
  }
  EXPECT_EQ(CountOf(&world, "acme"), acme);
}

TEST(AuditTest, NoEntryHoldsAValueATokenOrADescription) {
  World world;
  const std::string described = "a-description-that-nobody-shall-read";
  world.MustCall(Who::kAdmin, "CredentialService.UpdateCredential",
                 absl::StrCat("credential { name: 'orgs/acme/credentials/PROBE_KEY' description: '", described, "' }"));
  world.TakeDigest();
  for (const MethodEntry& entry : AllEntries()) {
    if (entry.method == "DirectoryService.DeleteOrg") continue;
    world.LearnWords();
    world.Call(entry.who, entry.method, entry.good);
    for (size_t i = 0; i < entry.bad.size(); i += 7) {
      world.Call(entry.bad[i].who, entry.method, absl::StrCat(entry.good, " ", entry.bad[i].edit));
    }
  }
  std::vector<std::string> secrets = {std::string(World::kMarker), described};
  for (const Who who : {Who::kAdmin, Who::kMember, Who::kOwner, Who::kTeamAdmin, Who::kTeamMember, Who::kOtherTeam,
                        Who::kService, Who::kWorkload, Who::kRival}) {
    // A token's random part alone would do.
    secrets.push_back(world.Bearer(who).substr(sizeof("Bearer ") - 1 + 5, 20));
  }
  int looked_through = 0;
  for (const std::string org : {"acme", "rival", ""}) {
    for (const v1::AuditEntry& entry : Entries(&world, org)) {
      ++looked_through;
      for (const std::string& secret : secrets) {
        EXPECT_FALSE(absl::StrContains(entry.SerializeAsString(), secret)) << entry.method();
      }
    }
  }
  EXPECT_GE(looked_through, 300);
}

TEST(AuditTest, WithoutRoomForItsEntryACallFailsAndGivesNothingOut) {
  World world;
  const Digest before = world.TakeDigest();
  const int64_t entries = CountOf(&world, "acme");
  std::vector<std::pair<MethodEntry, std::string>> requests;
  for (const MethodEntry& entry : AllEntries()) requests.emplace_back(entry, world.Fill(entry.good));
  world.SetStoreFull(true);
  for (const auto& [entry, request] : requests) {
    std::string response;
    const grpc::Status status = world.Call(entry.who, entry.method, request, &response);
    EXPECT_EQ(status.error_code(), grpc::RESOURCE_EXHAUSTED) << entry.method << ": " << status.error_message();
    EXPECT_EQ(DetailOf(status).reason(), "STORE_FULL") << entry.method;
    EXPECT_EQ(world.WhatIsWrong(status), "") << entry.method;
    EXPECT_EQ(response, "") << entry.method;
  }
  // Nor does a refusal say anything.
  EXPECT_EQ(world.Call(Who::kRival, "CredentialService.GetCredential", "name: 'orgs/acme/credentials/GITHUB_TOKEN'")
                .error_code(),
            grpc::RESOURCE_EXHAUSTED);
  EXPECT_EQ(world.Call(Who::kNobody, "TokenService.GetCaller", "").error_code(), grpc::RESOURCE_EXHAUSTED);
  world.SetStoreFull(false);
  EXPECT_EQ(CountOf(&world, "acme"), entries);
  // Not all of it may be shown: it holds values.
  const Digest after = world.TakeDigest();
  for (const auto& [call, answer] : before) EXPECT_TRUE(after.at(call) == answer) << call;
}

TEST(AuditTest, AListedLogIsTheStoredOne) {
  World world;
  v1::ListAuditEntriesResponse listed;
  ASSERT_TRUE(listed.ParseFromString(
      world.MustCall(Who::kAdmin, "AuditService.ListAuditEntries", "parent: 'orgs/acme' page_size: 1000")));
  std::vector<v1::AuditEntry> entries = Entries(&world, "acme");
  entries.pop_back();  // Of the list itself.
  ASSERT_EQ(static_cast<size_t>(listed.entries_size()), entries.size());
  std::reverse(entries.begin(), entries.end());
  for (int i = 0; i < listed.entries_size(); ++i) {
    v1::AuditEntry entry = listed.entries(i);
    EXPECT_EQ(entry.sequence(), static_cast<int64_t>(entries.size()) - i);
    entry.clear_sequence();
    entry.clear_hash();
    EXPECT_EQ(entry.SerializeAsString(), entries[static_cast<size_t>(i)].SerializeAsString());
  }
  v1::VerifyAuditLogResponse verified;
  ASSERT_TRUE(
      verified.ParseFromString(world.MustCall(Who::kAdmin, "AuditService.VerifyAuditLog", "parent: 'orgs/acme'")));
  EXPECT_TRUE(verified.intact()) << verified.problem();
}

}  // namespace
}  // namespace keyferry::testing
