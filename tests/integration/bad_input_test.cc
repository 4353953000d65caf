// Every method of the API, with input that must be refused: a clear error, and nothing changes.
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"
#include "tests/integration/bad_requests.h"
#include "tests/integration/world.h"

namespace keyferry::testing {
namespace {

// The calls whose answers differ, without the answers: they hold values.
std::string Differences(const Digest& before, const Digest& after) {
  std::string differences;
  for (const auto& [call, answer] : before) {
    if (after.at(call) != answer) absl::StrAppend(&differences, "\n  ", call);
  }
  return differences;
}

TEST(BadInputTest, EveryMethodHasOneEntryWithBadRequests) {
  std::set<std::string> entries;
  for (const MethodEntry& entry : AllEntries()) {
    EXPECT_TRUE(entries.insert(entry.method).second) << "two entries of " << entry.method;
    const bool takes_nothing = MakeRequest(entry.method, "")->GetDescriptor()->field_count() == 0;
    EXPECT_NE(entry.bad.empty(), !takes_nothing) << entry.method;
  }
  const std::vector<std::string> methods = AllMethods();
  EXPECT_GE(methods.size(), 54u);
  EXPECT_EQ(entries, std::set<std::string>(methods.begin(), methods.end()));
}

// The bad requests differ from these in what their label says alone.
TEST(BadInputTest, EveryGoodRequestSucceeds) {
  World world;
  for (const MethodEntry& entry : AllEntries()) {
    world.LearnWords();  // Those before it changed etags and tokens.
    std::string response;
    const grpc::Status status = world.Call(entry.who, entry.method, entry.good, &response);
    EXPECT_EQ(absl::StrContains(response, World::kMarker), GivesValuesOut(entry.method))
        << entry.method << " shows a value";
    EXPECT_TRUE(status.ok()) << entry.method << ": " << status.error_code() << ": " << status.error_message();
  }
}

// One test for each method, so that they can be run apart.
class BadInputOfMethodTest : public ::testing::TestWithParam<MethodEntry> {
 protected:
  static void SetUpTestSuite() { world_ = new World(); }
  static void TearDownTestSuite() {
    delete world_;
    world_ = nullptr;
  }
  static World* world_;
};
World* BadInputOfMethodTest::world_ = nullptr;

TEST_P(BadInputOfMethodTest, IsRefusedClearlyAndChangesNothing) {
  const MethodEntry& entry = GetParam();
  Digest before = world_->TakeDigest();
  for (const auto& [call, answer] : before) ASSERT_TRUE(absl::StartsWith(answer, "0 ")) << call;
  for (const BadRequest& bad : entry.bad) {
    SCOPED_TRACE(absl::StrCat(entry.method, ": ", bad.label.substr(0, 200)));
    const grpc::Status status = world_->Call(bad.who, entry.method, entry.good + " " + bad.edit);
    EXPECT_EQ(status.error_code(), bad.code) << status.error_message();
    EXPECT_EQ(world_->WhatIsWrong(status), "");
    EXPECT_EQ(DetailOf(status).field(), bad.field) << status.error_message();
    Digest after = world_->TakeDigest();
    EXPECT_EQ(Differences(before, after), "");
    before = std::move(after);
  }
}

INSTANTIATE_TEST_SUITE_P(AllMethods, BadInputOfMethodTest, ::testing::ValuesIn(AllEntries()), [](const auto& info) {
  const std::string& method = info.param.method;
  return method.substr(method.find('.') + 1);
});

TEST(BadInputTest, AnEmptyRequestNamesTheFieldThatIsRequired) {
  World world;
  for (const std::string& method : AllMethods()) {
    if (MakeRequest(method, "")->GetDescriptor()->field_count() == 0) continue;
    SCOPED_TRACE(method);
    const grpc::Status status = world.Call(Who::kAdmin, method, "");
    EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT) << status.error_message();
    EXPECT_EQ(world.WhatIsWrong(status), "");
  }
}

// Bytes that are no message, and strings that are not UTF-8, which Protobuf refuses before any code of ours runs.
TEST(BadInputTest, BytesThatAreNoRequestAreRefusedClearly) {
  World world;
  const Digest before = world.TakeDigest();
  for (const std::string& method : AllMethods()) {
    for (const std::string& bytes :
         {std::string("\xff\xff\xff\xff\xff"), std::string("\x0a\x7f"), std::string("\x00", 1),
          std::string("\x0a\x02\xc3\x28"), std::string(1000, '\x0a')}) {
      // Where field 1 is a message or there is none, a string's bytes may well be a request.
      SCOPED_TRACE(absl::StrCat(method, ", ", bytes.size(), " bytes"));
      if (MakeRequest(method, "")->ParseFromString(bytes)) continue;
      const grpc::Status status = world.CallBytes({world.Bearer(Who::kAdmin)}, method, bytes);
      EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT) << status.error_message();
      EXPECT_EQ(world.WhatIsWrong(status), "");
    }
  }
  EXPECT_EQ(Differences(before, world.TakeDigest()), "");
}

TEST(BadInputTest, AnUnknownMethodIsUnimplemented) {
  World world;
  EXPECT_EQ(
      world.CallBytes({world.Bearer(Who::kAdmin)}, "/keyferry.v1.CredentialService/RevealCredential", "").error_code(),
      grpc::UNIMPLEMENTED);
}

// A tier that does not include a scope: what is there stays, is seen, and is neither written nor resolved.
TEST(BadInputTest, SuspendedScopesRefuseAndChangeNothing) {
  World world;
  world.MustCall(Who::kOwner, "CredentialService.RotateCredential",
                 "name: 'orgs/acme/teams/eng/credentials/TEAM_KEY' value: 'marker-5e11ed-2'");
  world.MustCall(Who::kAdmin, "DirectoryService.UpdateOrg", "org { name: 'orgs/acme' tier: TIER_FREE }");
  const Digest before = world.TakeDigest();
  const std::string name = "name: 'orgs/acme/teams/eng/credentials/TEAM_KEY' ";
  const struct {
    Who who;
    std::string method;
    std::string request;
    std::string reason;
  } cases[] = {
      {Who::kOwner, "CredentialService.CreateCredential", "parent: 'orgs/acme/teams/eng' credential_id: 'B' value: 'x'",
       "SCOPE_SUSPENDED"},
      {Who::kOwner, "CredentialService.UpdateCredential", "credential { " + name + " description: 'x' }",
       "SCOPE_SUSPENDED"},
      {Who::kOwner, "CredentialService.RotateCredential", name + "value: 'x'", "SCOPE_SUSPENDED"},
      {Who::kOwner, "CredentialService.RollbackCredential", name, "SCOPE_SUSPENDED"},
      {Who::kOwner, "McpServerService.ApplyMcpServer",
       "mcp_server { name: 'orgs/acme/teams/eng/mcpServers/x' transport: MCP_TRANSPORT_HTTP }", "SCOPE_SUSPENDED"},
      {Who::kTeamMember, "ResolutionService.Resolve", "mcp_server: 'orgs/acme/teams/eng/mcpServers/builder'",
       "SCOPE_SUSPENDED"},
      {Who::kTeamMember, "ResolutionService.Explain", "mcp_server: 'orgs/acme/teams/eng/mcpServers/builder'",
       "SCOPE_SUSPENDED"},
      {Who::kOwner, "ConnectionService.StartConnection", "parent: 'orgs/acme/teams/eng' oauth_provider_id: 'idp'",
       "SCOPE_SUSPENDED"},
      {Who::kOwner, "ConnectionService.RefreshConnection", "name: 'orgs/acme/teams/eng/connections/idp'",
       "SCOPE_SUSPENDED"},
      {Who::kAdmin, "DirectoryService.SetTeamMember",
       "member { name: 'orgs/acme/teams/eng/members/mia' role: TEAM_ROLE_MEMBER }", "SCOPE_SUSPENDED"},
      {Who::kAdmin, "DirectoryService.CreateTeam", "parent: 'orgs/acme' team_id: 'late'", "TIER_LIMIT"},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.method);
    const grpc::Status status = world.Call(one.who, one.method, one.request);
    EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION) << status.error_message();
    EXPECT_EQ(DetailOf(status).reason(), one.reason);
    EXPECT_EQ(world.WhatIsWrong(status), "");
    EXPECT_EQ(Differences(before, world.TakeDigest()), "");
  }
}

struct SizeCase {
  const char* label;
  size_t value_bytes;
  size_t description_bytes;
  grpc::StatusCode code;
  const char* field;
};

TEST(BadInputTest, SizesAtTheirLimits) {
  World world;
  const SizeCase cases[] = {
      {"one byte", 1, 0, grpc::OK, ""},
      {"64 KiB", 64 << 10, 1024, grpc::OK, ""},
      {"64 KiB and a byte", (64 << 10) + 1, 0, grpc::INVALID_ARGUMENT, "value"},
      {"a description of 1 KiB and a byte", 1, 1025, grpc::INVALID_ARGUMENT, "credential.description"},
      {"just below 256 KiB", 1, (256 << 10) - 100, grpc::INVALID_ARGUMENT, "credential.description"},
      {"above 256 KiB", 1, 256 << 10, grpc::INVALID_ARGUMENT, "request"},
      {"500 KiB", 1, 500 << 10, grpc::INVALID_ARGUMENT, "request"},
      {"4 MiB", 1, 4 << 20, grpc::INVALID_ARGUMENT, "request"},
  };
  int number = 0;
  for (const SizeCase& one : cases) {
    SCOPED_TRACE(one.label);
    const std::string id = absl::StrCat("SIZE_", ++number);
    const grpc::Status status = world.Call(
        Who::kAdmin, "CredentialService.CreateCredential",
        absl::StrCat("parent: 'orgs/acme' credential_id: '", id, "' value: '", std::string(one.value_bytes, 'v'),
                     "' credential { description: '", std::string(one.description_bytes, 'd'), "' }"));
    EXPECT_EQ(status.error_code(), one.code) << status.error_message();
    if (one.code == grpc::OK) continue;
    EXPECT_EQ(world.WhatIsWrong(status), "");
    EXPECT_EQ(DetailOf(status).field(), one.field);
  }
  // Methods that take many values take larger requests.
  const auto import = [&](int count) {
    std::string request = "parent: 'orgs/acme' conflict: IMPORT_CONFLICT_ROTATE";
    for (int i = 0; i < count; ++i) {
      absl::StrAppend(&request, " entries { credential_id: 'LARGE_", i, "' value: '", std::string(64 << 10, 'v'),
                      "' }");
    }
    return world.Call(Who::kAdmin, "CredentialService.ImportCredentials", request);
  };
  EXPECT_TRUE(import(63).ok());
  EXPECT_TRUE(import(63).ok());
  const grpc::Status too_large = import(64);
  EXPECT_EQ(too_large.error_code(), grpc::INVALID_ARGUMENT) << too_large.error_message();
  EXPECT_EQ(DetailOf(too_large).field(), "request");
  EXPECT_EQ(world.WhatIsWrong(too_large), "");
  std::string rotate = "parent: 'orgs/acme'";
  for (int i = 0; i < 60; ++i) {
    absl::StrAppend(&rotate, " requests { name: 'orgs/acme/credentials/LARGE_", i, "' value: '",
                    std::string(64 << 10, 'w'), "' }");
  }
  EXPECT_TRUE(world.Call(Who::kAdmin, "CredentialService.BatchRotateCredentials", rotate).ok());
  // What gRPC itself does not take off the wire.
  const grpc::Status huge =
      world.CallBytes({world.Bearer(Who::kAdmin)}, "CredentialService.CreateCredential", std::string(5 << 20, 'x'));
  EXPECT_EQ(huge.error_code(), grpc::RESOURCE_EXHAUSTED);
  EXPECT_NE(huge.error_message(), "");
}

}  // namespace
}  // namespace keyferry::testing
