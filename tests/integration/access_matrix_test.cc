// Every row of the access matrix, as every caller, in every place, on every tier, against the running server.
#include "tests/integration/access_matrix.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"
#include "keyferry/v1/audit.pb.h"
#include "keyferry/v1/connections.pb.h"
#include "keyferry/v1/credentials.pb.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "keyferry/v1/processes.pb.h"
#include "keyferry/v1/resolution.pb.h"
#include "keyferry/v1/sessions.pb.h"
#include "tests/integration/matrix_world.h"

namespace keyferry::testing {
namespace {

// All that an error tells, with the name that was asked for taken out.
std::string Told(const grpc::Status& status, const std::string& name) {
  return absl::StrReplaceAll(absl::StrCat(static_cast<int>(status.error_code()), "\n", status.error_message(), "\n",
                                          DetailOf(status).ShortDebugString()),
                             {{name, "NAME"}});
}

// One row in one place.
struct Case {
  const MatrixRow* row;
  const PlaceName* place;
  int number = 0;
  // What $TOKEN, $SESSION, $ATTEMPT or $PROCESS stands for.
  std::string live;
  // What $REVISION stands for.
  int64_t revision = 1;

  std::string Target() const {
    if (row->target.empty()) return place->Name();
    return absl::StrCat(place->Name(), "/",
                        absl::StrReplaceAll(row->target, {{"$N", absl::StrCat(number)},
                                                          {"$TOKEN", live},
                                                          {"$SESSION", live},
                                                          {"$ATTEMPT", live},
                                                          {"$PROCESS", live}}));
  }
  // Of the same kind and in the same place where that is not the target itself, and of nobody.
  std::string Absent() const {
    if (row->target.empty()) return place->AbsentName();
    return absl::StrCat(place->Name(), "/", row->target.substr(0, row->target.find('/')), "/none");
  }
  std::string Request(const std::string& target) const {
    return absl::StrReplaceAll(row->request, {{"@", target},
                                              {"$ORG", absl::StrCat("orgs/", place->org)},
                                              {"$N", absl::StrCat(number)},
                                              {"$REVISION", absl::StrCat(revision)}});
  }
};

class AccessMatrixTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    world_ = new MatrixWorld();
    rows_ = new std::vector<MatrixRow>(AccessMatrix());
  }
  static void TearDownTestSuite() {
    delete world_;
    delete rows_;
  }

  AccessMatrixTest() {
    for (const MatrixRow& row : *rows_) {
      for (const PlaceName& place : world_->places()) {
        if (place.kind != row.place) continue;
        cases_.push_back({&row, &place, 0, ""});
        Revive(&cases_.back());
      }
    }
  }

  void Revive(Case* one) {
    if (absl::StrContains(one->row->target, "$TOKEN")) one->live = world_->LiveToken(*one->place);
    if (absl::StrContains(one->row->target, "$SESSION")) one->live = world_->LiveSession(*one->place);
    if (absl::StrContains(one->row->target, "$ATTEMPT")) one->live = world_->LiveAttempt(*one->place);
    if (absl::StrContains(one->row->target, "$PROCESS")) {
      // A record that never ended, for each row of its own.
      const bool ends = one->row->method == "ProcessService.DeleteProcess";
      const std::string id = absl::StrCat(ends ? "ends-" : "stays-", one->number);
      one->live = world_->LiveProcess(*one->place, id, &one->revision);
    }
  }

  // Everything on the tier that the organization has now.
  void RunAll() {
    const Digest before = world_->world()->TakeDigest();
    for (const Case& one : cases_) {
      for (const Identity& identity : world_->identities()) CheckRefused(one, identity);
    }
    const Digest after = world_->world()->TakeDigest();
    for (const auto& [read, answer] : before)
      EXPECT_EQ(answer == after.at(read), true) << "a refused call changed " << read;
    for (Case& one : cases_) {
      for (const Identity& identity : world_->identities()) CheckAllowed(&one, identity);
    }
  }

  void CheckRefused(const Case& one, const Identity& identity) {
    const char letter = ExpectedLetter(*one.row, *one.place, identity);
    if (letter == '+') return;
    SCOPED_TRACE(absl::StrCat(one.row->method, " on ", one.Target(), " as ", identity.Name()));
    const std::string request = one.Request(one.Target());
    const grpc::Status status = world_->Call(identity, one.row->method, request);
    EXPECT_EQ(world_->world()->WhatIsWrong(status), "");
    ++calls_;
    switch (letter) {
      case 'D':
        EXPECT_EQ(status.error_code(), grpc::PERMISSION_DENIED) << status.error_message();
        return;
      case 'I':
        EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT) << status.error_message();
        return;
      default:
        EXPECT_EQ(status.error_code(), grpc::NOT_FOUND) << status.error_message();
    }
    const std::string absent = one.Request(one.Absent());
    const grpc::Status of_absent = world_->Call(identity, one.row->method, absent);
    EXPECT_EQ(Told(status, one.Target()), Told(of_absent, one.Absent()));
    EXPECT_EQ(world_->ReadsOf(identity, one.row->method, request), world_->ReadsOf(identity, one.row->method, absent))
        << "what is hidden takes other reads than what is absent";
    // Where a request names two things, it can be the other one that is hidden.
    if (absl::StrContains(Told(status, one.Target()), "NAME")) hidden_[&one] = Told(status, one.Target());
    ++hidden_calls_;
  }

  void CheckAllowed(Case* one, const Identity& identity) {
    const MatrixRow& row = *one->row;
    if (ExpectedLetter(row, *one->place, identity) != '+') return;
    SCOPED_TRACE(absl::StrCat(row.method, " on ", one->Target(), " as ", identity.Name()));
    const bool suspended =
        world_->IsSuspended(*one->place, row.tier_team.empty() ? TeamOf(*one->place) : row.tier_team);
    CheckAbsent(*one, identity, suspended);
    if (!row.send_allowed) return;
    const grpc::Status status = world_->Call(identity, row.method, one->Request(one->Target()));
    ++calls_;
    const bool stays = row.stays_on_tier_team && one->place->id == "default" && tier_ == v1::TIER_TEAM;
    if ((suspended && row.refused_if_suspended) || stays) {
      EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION) << status.error_message();
      EXPECT_EQ(DetailOf(status).reason(), stays || !row.tier_team.empty() ? "TIER_LIMIT" : "SCOPE_SUSPENDED");
      return;
    }
    EXPECT_EQ(status.error_code(), row.allowed) << status.error_message();
    ++one->number;
    Revive(one);
    if (row.method == "DirectoryService.RotateOrgDataKey") world_->AwaitRewrap();
  }

  // To those who may see it, what is absent is told in the words that others get for what is hidden.
  void CheckAbsent(const Case& one, const Identity& identity, bool suspended) {
    const auto hidden = hidden_.find(&one);
    const bool creates = one.row->makes_target || absl::StrContains(one.row->request, "$N");
    if (suspended || creates || hidden == hidden_.end() || !absl::StrContains(one.row->request, "@")) return;
    const grpc::Status status = world_->Call(identity, one.row->method, one.Request(one.Absent()));
    if (status.error_code() != grpc::NOT_FOUND) return;
    EXPECT_EQ(Told(status, one.Absent()), hidden->second);
    ++absent_calls_;
  }

  static std::string TeamOf(const PlaceName& place) { return place.kind == Place::kTeam ? place.id : ""; }

  // The status that the credential KEY shows in each place, and what the tool of each team resolves to.
  void CheckSuspension() {
    for (const PlaceName& place : world_->places()) {
      SCOPED_TRACE(place.Name());
      const Identity* reader = nullptr;
      for (const Identity& identity : world_->identities()) {
        const bool reads = place.kind == Place::kUser ? identity.id == place.id : identity.admin;
        if (reads && identity.org == place.org && reader == nullptr) reader = &identity;
      }
      std::string response;
      ASSERT_TRUE(world_
                      ->Call(*reader, "CredentialService.GetCredential",
                             absl::StrCat("name: '", place.Name(), "/credentials/KEY'"), &response)
                      .ok());
      v1::Credential credential;
      credential.ParseFromString(response);
      const bool suspended = world_->IsSuspended(place, TeamOf(place));
      EXPECT_EQ(credential.status(), suspended ? v1::CREDENTIAL_STATUS_SUSPENDED : v1::CREDENTIAL_STATUS_ACTIVE);
      if (place.kind != Place::kTeam || suspended) continue;
      for (const Identity& identity : world_->identities()) {
        if (identity.kind != Identity::kWorkload || !identity.granted) continue;
        v1::ResolveResponse resolved;
        ASSERT_TRUE(world_
                        ->Call(identity, "ResolutionService.Resolve",
                               absl::StrCat("mcp_server: '", place.Name(), "/mcpServers/tool'"), &response)
                        .ok());
        resolved.ParseFromString(response);
        ASSERT_EQ(resolved.variables_size(), 1);
        EXPECT_TRUE(absl::StartsWith(resolved.variables(0).value(), World::kMarker)) << "the stored value is not back";
      }
    }
  }

  static MatrixWorld* world_;
  static std::vector<MatrixRow>* rows_;
  std::vector<Case> cases_;
  std::map<const Case*, std::string> hidden_;
  v1::Tier tier_ = v1::TIER_BUSINESS;
  int calls_ = 0;
  int hidden_calls_ = 0;
  int absent_calls_ = 0;
};
MatrixWorld* AccessMatrixTest::world_ = nullptr;
std::vector<MatrixRow>* AccessMatrixTest::rows_ = nullptr;

// A downgrade suspends, an upgrade restores: the first and the last phase are the same tier.
TEST_F(AccessMatrixTest, EveryMethodRoleScopeAndTier) {
  for (const v1::Tier tier :
       {v1::TIER_BUSINESS, v1::TIER_TEAM, v1::TIER_FREE, v1::TIER_ENTERPRISE, v1::TIER_BUSINESS}) {
    SCOPED_TRACE(v1::Tier_Name(tier));
    world_->SetTier(tier);
    tier_ = tier;
    CheckSuspension();
    RunAll();
    CheckSuspension();
  }
  EXPECT_GE(calls_, 8000);
  EXPECT_GE(hidden_calls_, 4000);
  EXPECT_GE(absent_calls_, 500);
  printf("%d cases, %d of them hidden, %d absent ones\n", calls_, hidden_calls_, absent_calls_);
}

// What the server implements has a row. It asks first who calls; what it does not implement answers otherwise.
TEST_F(AccessMatrixTest, EveryMethodOfTheServerHasARow) {
  int with_rows = 0;
  for (const auto* file :
       {v1::Credential::descriptor()->file(), v1::Org::descriptor()->file(),
        v1::ListProcessesRequest::descriptor()->file(), v1::ResolveRequest::descriptor()->file(),
        v1::Session::descriptor()->file(), v1::AuditEntry::descriptor()->file(),
        v1::OauthProvider::descriptor()->file(), v1::Connection::descriptor()->file(),
        google::protobuf::DescriptorPool::generated_pool()->FindFileByName("keyferry/v1/tokens.proto"),
        google::protobuf::DescriptorPool::generated_pool()->FindFileByName("keyferry/v1/mcp_servers.proto")}) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        const std::string method = absl::StrCat(file->service(s)->name(), ".", file->service(s)->method(m)->name());
        SCOPED_TRACE(method);
        const bool has_row =
            std::any_of(rows_->begin(), rows_->end(), [&](const MatrixRow& row) { return row.method == method; });
        with_rows += has_row ? 1 : 0;
        const grpc::Status status = world_->world()->CallBytes({}, method, "");
        if (has_row) {
          EXPECT_EQ(status.error_code(), grpc::UNAUTHENTICATED);
        } else {
          EXPECT_NE(status.error_code(), grpc::UNAUTHENTICATED) << "add its rows to access_matrix.cc";
        }
      }
    }
  }
  EXPECT_GE(with_rows, 54);
}

}  // namespace
}  // namespace keyferry::testing
