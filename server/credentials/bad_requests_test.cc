// What callers may not do, and requests that are wrong: each answers with a clear error and changes nothing.
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "server/credentials/testing_world.h"
#include "server/errors.h"

namespace keyferry::server {
namespace {

using storage::EngineKind;

constexpr char kSecret[] = "the-secret-value";

class BadRequestsTest : public testing::Test {
 protected:
  BadRequestsTest() {
    world_.Create(world_.As("root"), "orgs/acme", "TOKEN", kSecret);
    world_.Create(world_.As("ada"), "orgs/acme/teams/eng", "TOKEN", kSecret);
    world_.Create(world_.As("ada"), "orgs/acme/users/ada", "TOKEN", kSecret);
  }

  absl::Status Create(const Caller& caller, const std::string& parent, const std::string& id = "NEW",
                      const std::function<void(v1::CreateCredentialRequest*)>& edit = nullptr) {
    v1::CreateCredentialRequest request;
    request.set_parent(parent);
    request.set_credential_id(id);
    request.set_value(kSecret);
    if (edit) edit(&request);
    return world_.credentials->CreateCredential(caller, request).status();
  }
  absl::Status Update(const Caller& caller, const std::string& name,
                      const std::function<void(v1::UpdateCredentialRequest*)>& edit = nullptr) {
    v1::UpdateCredentialRequest request;
    request.mutable_credential()->set_name(name);
    request.mutable_credential()->set_description("new");
    if (edit) edit(&request);
    return world_.credentials->UpdateCredential(caller, request).status();
  }
  absl::Status Rotate(const Caller& caller, const std::string& name,
                      const std::function<void(v1::RotateCredentialRequest*)>& edit = nullptr) {
    v1::RotateCredentialRequest request;
    request.set_name(name);
    request.set_value(kSecret);
    if (edit) edit(&request);
    return world_.credentials->RotateCredential(caller, request).status();
  }
  absl::Status Rollback(const Caller& caller, const std::string& name) {
    v1::RollbackCredentialRequest request;
    request.set_name(name);
    return world_.credentials->RollbackCredential(caller, request).status();
  }
  absl::Status Delete(const Caller& caller, const std::string& name) {
    v1::DeleteCredentialRequest request;
    request.set_name(name);
    return world_.credentials->DeleteCredential(caller, request).status();
  }
  absl::Status List(const Caller& caller, const std::string& parent, int page_size = 0, const std::string& token = "") {
    v1::ListCredentialsRequest request;
    request.set_parent(parent);
    request.set_page_size(page_size);
    request.set_page_token(token);
    return world_.credentials->ListCredentials(caller, request).status();
  }
  absl::Status ListMine(const Caller& caller, const std::string& parent, int page_size = 0,
                        const std::string& token = "") {
    v1::ListMyCredentialsRequest request;
    request.set_parent(parent);
    request.set_page_size(page_size);
    request.set_page_token(token);
    return world_.credentials->ListMyCredentials(caller, request).status();
  }

  World world_{EngineKind::kMemory};
};

TEST_F(BadRequestsTest, SayWhichFieldIsWrongAndChangeNothing) {
  const Caller root = world_.As("root");
  const std::string name = "orgs/acme/credentials/TOKEN";
  const std::string big(65537, 'x');
  struct Case {
    const char* what;
    const char* field;
    absl::Status status;
  };
  const auto before = world_.Revision();
  std::vector<Case> cases = {
      {"create: no parent", "parent", Create(root, "")},
      {"create: malformed parent", "parent", Create(root, "acme")},
      {"create: parent is a service", "parent", Create(root, "orgs/acme/services/s")},
      {"create: oversized parent", "parent", Create(root, "orgs/" + std::string(600, 'a'))},
      {"create: no id", "credential_id", Create(root, "orgs/acme", "")},
      {"create: malformed id", "credential_id", Create(root, "orgs/acme", "1TOKEN")},
      {"create: id with a slash", "credential_id", Create(root, "orgs/acme", "A/B")},
      {"create: oversized id", "credential_id", Create(root, "orgs/acme", std::string(129, 'A'))},
      {"create: hijacking id", "credential_id", Create(root, "orgs/acme", "LD_PRELOAD")},
      {"create: ours", "credential_id", Create(root, "orgs/acme", "KEYFERRY_TOKEN")},
      {"create: no value", "value", Create(root, "orgs/acme", "NEW", [](auto* r) { r->clear_value(); })},
      {"create: oversized value", "value", Create(root, "orgs/acme", "NEW", [&](auto* r) { r->set_value(big); })},
      {"create: NUL", "value", Create(root, "orgs/acme", "NEW", [](auto* r) { r->set_value(std::string("a\0b", 3)); })},
      {"create: oversized description", "credential.description",
       Create(root, "orgs/acme", "NEW",
              [&](auto* r) { r->mutable_credential()->set_description(big.substr(0, 1025)); })},
      {"create: control characters", "credential.description",
       Create(root, "orgs/acme", "NEW", [&](auto* r) { r->mutable_credential()->set_description("\x1b[2J"); })},
      {"create: rotate_by before 1970", "credential.rotate_by",
       Create(root, "orgs/acme", "NEW",
              [&](auto* r) { r->mutable_credential()->mutable_rotate_by()->set_seconds(-1); })},
      {"create: rotate_by out of range", "credential.rotate_by",
       Create(root, "orgs/acme", "NEW",
              [&](auto* r) { r->mutable_credential()->mutable_rotate_by()->set_seconds(int64_t{1} << 40); })},
      {"get: no name", "name", world_.Get(root, "").status()},
      {"get: another collection", "name", world_.Get(root, "orgs/acme/mcpServers/TOKEN").status()},
      {"get: malformed id", "name", world_.Get(root, "orgs/acme/credentials/a-b").status()},
      {"get: of a workload", "name", world_.Get(root, "orgs/acme/workloads/w/credentials/A").status()},
      {"list: no parent", "parent", List(root, "")},
      {"list: of a service", "parent", List(root, "orgs/acme/services/s")},
      {"list: negative size", "page_size", List(root, "orgs/acme", -1)},
      {"list: forged token", "page_token", List(root, "orgs/acme", 0, "VE9LRU4")},
      {"mine: no parent", "parent", ListMine(root, "")},
      {"mine: of an org", "parent", ListMine(root, "orgs/acme")},
      {"mine: negative size", "page_size", ListMine(root, "orgs/acme/users/root", -1)},
      {"mine: forged token", "page_token", ListMine(root, "orgs/acme/users/root", 0, "!")},
      {"update: no name", "credential.name", Update(root, "")},
      {"update: malformed name", "credential.name", Update(root, "orgs/acme/credentials/")},
      {"update: unknown field", "update_mask",
       Update(root, name, [](auto* r) { r->mutable_update_mask()->add_paths("version"); })},
      {"update: value", "update_mask",
       Update(root, name, [](auto* r) { r->mutable_update_mask()->add_paths("value"); })},
      {"update: nothing", "update_mask",
       Update(root, name, [](auto* r) { r->mutable_credential()->clear_description(); })},
      {"update: oversized description", "credential.description",
       Update(root, name, [&](auto* r) { r->mutable_credential()->set_description(big.substr(0, 1025)); })},
      {"update: rotate_by", "credential.rotate_by",
       Update(root, name, [](auto* r) { r->mutable_credential()->mutable_rotate_by()->set_nanos(-1); })},
      {"rotate: no name", "name", Rotate(root, "")},
      {"rotate: malformed name", "name", Rotate(root, "TOKEN")},
      {"rotate: no value", "value", Rotate(root, name, [](auto* r) { r->clear_value(); })},
      {"rotate: oversized value", "value", Rotate(root, name, [&](auto* r) { r->set_value(big); })},
      {"rotate: negative grace", "grace", Rotate(root, name, [](auto* r) { r->mutable_grace()->set_seconds(-1); })},
      {"rotate: grace over 30 days", "grace",
       Rotate(root, name, [](auto* r) { r->mutable_grace()->set_seconds(30 * 86400 + 1); })},
      {"rotate: malformed grace", "grace", Rotate(root, name, [](auto* r) { r->mutable_grace()->set_nanos(-5); })},
      {"rotate: rotate_by", "rotate_by", Rotate(root, name, [](auto* r) { r->mutable_rotate_by()->set_seconds(-1); })},
      {"rotate: rotate_by set and removed", "remove_rotate_by",
       Rotate(root, name,
              [](auto* r) {
                r->mutable_rotate_by()->set_seconds(1);
                r->set_remove_rotate_by(true);
              })},
      {"rollback: no name", "name", Rollback(root, "")},
      {"rollback: malformed name", "name", Rollback(root, "orgs/acme/credentials/A-B")},
      {"delete: no name", "name", Delete(root, "")},
      {"delete: malformed name", "name", Delete(root, "orgs/ACME/credentials/A")},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    EXPECT_TRUE(absl::IsInvalidArgument(c.status)) << c.status;
    EXPECT_EQ(DetailOf(c.status).field(), c.field);
    EXPECT_FALSE(DetailOf(c.status).next_step().empty());
    EXPECT_EQ(Told(c.status).find(kSecret), std::string::npos);
  }
  EXPECT_EQ(world_.Revision(), before);
}

TEST_F(BadRequestsTest, WhatIsAbsentIsNotFound) {
  const Caller root = world_.As("root");
  const std::string absent = "orgs/acme/credentials/NONE";
  const auto before = world_.Revision();
  EXPECT_TRUE(absl::IsNotFound(world_.Get(root, absent).status()));
  EXPECT_TRUE(absl::IsNotFound(Update(root, absent)));
  EXPECT_TRUE(absl::IsNotFound(Rotate(root, absent)));
  EXPECT_TRUE(absl::IsNotFound(Rollback(root, absent)));
  EXPECT_TRUE(absl::IsNotFound(Delete(root, absent)));
  EXPECT_TRUE(absl::IsNotFound(List(root, "orgs/acme/teams/none")));
  // An ADMIN may see every team, so is told that there is none before being told who may write there.
  const std::string of_team = "orgs/acme/teams/none/credentials/TOKEN";
  v1::ImportCredentialsRequest import;
  import.set_parent("orgs/acme/teams/none");
  v1::ImportEntry* const entry = import.add_entries();
  entry->set_credential_id("TOKEN");
  entry->set_value("v");
  for (const absl::Status& status :
       {Create(root, "orgs/acme/teams/none", "TOKEN"), Update(root, of_team), Rotate(root, of_team),
        Rollback(root, of_team), world_.credentials->ImportCredentials(root, import).status()}) {
    EXPECT_EQ(Told(status), Told(NotFound("orgs/acme/teams/none")));
  }
  // To others it is as a team that they may not see.
  EXPECT_EQ(Told(Create(world_.As("bob"), "orgs/acme/teams/none", "TOKEN")), Told(NotFound(of_team)));
  EXPECT_EQ(world_.Revision(), before);
}

// SPEC 1. '+' allowed, 'd' PERMISSION_DENIED, 'h' hidden (NOT_FOUND as if absent).
TEST_F(BadRequestsTest, EveryoneMayDoWhatTheSpecificationSaysAndNoMore) {
  struct Case {
    Caller caller;
    const char* parent;
    // see, list, create, update, rotate, delete
    const char* expected;
  };
  const char* const kOrg = "orgs/acme";
  const char* const kTeam = "orgs/acme/teams/eng";
  const char* const kUser = "orgs/acme/users/ada";
  const std::vector<Case> cases = {
      {world_.As("root"), kOrg, "++++++"},
      {world_.As("bob"), kOrg, "++dddd"},
      {world_.As("mallory"), kOrg, "hhhhhh"},
      {world_.Service(v1::ORG_ROLE_ADMIN), kOrg, "++++++"},
      {world_.Service(v1::ORG_ROLE_MEMBER), kOrg, "++dddd"},
      {world_.Workload({"orgs/acme/mcpServers/m"}), kOrg, "hhhhhh"},
      {world_.As("ada"), kTeam, "++++++"},
      {world_.As("root"), kTeam, "++ddd+"},
      {world_.As("bob"), kTeam, "++dddd"},
      {world_.As("eve"), kTeam, "hhhhhh"},
      {world_.As("zoe"), kTeam, "hhhhhh"},
      {world_.As("mallory"), kTeam, "hhhhhh"},
      {world_.Workload({}), kTeam, "hhhhhh"},
      {world_.As("ada"), kUser, "++++++"},
      {world_.As("root"), kUser, "hhdhhh"},
      {world_.As("bob"), kUser, "hhhhhh"},
      {world_.As("mallory"), kUser, "hhhhhh"},
      {world_.Service(v1::ORG_ROLE_ADMIN), kUser, "hhdhhh"},
      {world_.Workload({}), kUser, "hhhhhh"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(absl::StrCat(c.caller.Name(), " on ", c.parent));
    const std::string parent = c.parent;
    const auto name = [&](const std::string& id) { return parent + "/credentials/" + id; };
    const auto try_all = [&](const std::string& id) {
      return std::vector<absl::Status>{world_.Get(c.caller, name(id)).status(),
                                       List(c.caller, parent),
                                       Create(c.caller, parent, "NEW_" + id),
                                       Update(c.caller, name(id)),
                                       Rotate(c.caller, name(id)),
                                       Delete(c.caller, name(id))};
    };
    const auto before = world_.Revision();
    const std::vector<absl::Status> present = try_all("TOKEN");
    std::string got;
    for (const absl::Status& status : present) {
      got += status.ok() ? '+' : absl::IsPermissionDenied(status) ? 'd' : absl::IsNotFound(status) ? 'h' : '?';
    }
    EXPECT_EQ(got, c.expected);
    const std::string expected = c.expected;
    const bool may_change = expected.substr(2).find('+') != std::string::npos;
    EXPECT_EQ(world_.Revision() == before, !may_change);
    // What is hidden answers exactly as what is absent.
    const std::vector<absl::Status> absent = try_all("ABSENT");
    for (size_t i = 0; i < present.size(); ++i) {
      if (got[i] != 'h') continue;
      EXPECT_EQ(Told(present[i]), absl::StrReplaceAll(Told(absent[i]), {{"ABSENT", "TOKEN"}})) << i;
    }
    // Put back what was changed.
    for (const char* id : {"NEW_TOKEN", "NEW_ABSENT"}) Delete(c.caller, name(id)).IgnoreError();
    if (got[5] == '+') {
      world_.Create(parent == kOrg ? world_.As("root") : world_.As("ada"), parent, "TOKEN", kSecret);
    }
  }
}

}  // namespace
}  // namespace keyferry::server
