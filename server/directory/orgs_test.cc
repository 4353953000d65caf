#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/directory/bootstrap.h"
#include "server/directory/testing_directory.h"
#include "server/records.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {
namespace {

v1::Org GetAcme(TestDirectory& directory) {
  v1::GetOrgRequest request;
  request.set_name("orgs/acme");
  return *directory.orgs.GetOrg(directory.Root(), request);
}

std::string TeamsOf(TestDirectory& directory, const std::string& user) {
  v1::ListTeamsRequest request;
  request.set_parent("orgs/acme");
  std::string text;
  const auto teams = directory.teams.ListTeams(directory.As("orgs/acme/users/" + user), request);
  for (const auto& team : teams->teams()) {
    text += team.name().substr(std::string("orgs/acme/teams/").size()) + (team.suspended() ? "(suspended) " : " ");
  }
  return text;
}

TEST(OrgsTest, UpdateChangesWhatTheMaskNamesAndTheEtag) {
  TestDirectory directory;
  const v1::Org before = GetAcme(directory);
  v1::UpdateOrgRequest request;
  request.mutable_org()->set_name("orgs/acme");
  request.mutable_org()->set_display_name("Acme");
  request.mutable_org()->set_tier(v1::TIER_ENTERPRISE);
  request.mutable_org()->set_etag(before.etag());
  request.mutable_update_mask()->add_paths("display_name");
  const auto after = directory.orgs.UpdateOrg(directory.Root(), request);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->display_name(), "Acme");
  EXPECT_EQ(after->tier(), v1::TIER_BUSINESS);
  EXPECT_NE(after->etag(), before.etag());
  EXPECT_EQ(ReasonOf(directory.orgs.UpdateOrg(directory.Root(), request).status()), "STALE_ETAG");
}

TEST(OrgsTest, AllowsNamesThatChangeHowAProcessStarts) {
  TestDirectory directory;
  v1::UpdateOrgRequest request;
  request.mutable_org()->set_name("orgs/acme");
  for (const char* name : {"PATH", "LD_PRELOAD", "NODE_OPTIONS"})
    request.mutable_org()->add_allowed_variable_names(name);
  ASSERT_TRUE(directory.orgs.UpdateOrg(directory.Root(), request).ok());
  const v1::Org org = GetAcme(directory);
  EXPECT_EQ(std::vector<std::string>(org.allowed_variable_names().begin(), org.allowed_variable_names().end()),
            (std::vector<std::string>{"LD_PRELOAD", "NODE_OPTIONS", "PATH"}));

  struct Case {
    std::string what;
    std::vector<std::string> names;
    std::string message;
  };
  for (const Case& c :
       {Case{"ours", {"PATH", "KEYFERRY_TOKEN"}, "[1]: refused, since Keyferry's own variables start with KEYFERRY_"},
        Case{"harmless", {"TOKEN"}, "[0]: needs no permission"},
        Case{"no name", {"LD PRELOAD"}, "[0]: not the name of an environment variable"},
        Case{"empty", {""}, "[0]: required"}, Case{"twice", {"PATH", "PATH"}, "[1]: named twice"},
        Case{"many", std::vector<std::string>(65, "PATH"), ": more than 64"}}) {
    SCOPED_TRACE(c.what);
    request.mutable_org()->clear_allowed_variable_names();
    for (const std::string& name : c.names) request.mutable_org()->add_allowed_variable_names(name);
    const absl::Status status = directory.orgs.UpdateOrg(directory.Root(), request).status();
    EXPECT_EQ(status.message(), "org.allowed_variable_names" + c.message);
    EXPECT_EQ(GetAcme(directory).etag(), org.etag());
  }
  // Named in the mask and empty: none.
  request.mutable_org()->clear_allowed_variable_names();
  request.mutable_update_mask()->add_paths("allowed_variable_names");
  ASSERT_TRUE(directory.orgs.UpdateOrg(directory.Root(), request).ok());
  EXPECT_EQ(GetAcme(directory).allowed_variable_names_size(), 0);
}

TEST(OrgsTest, BadUpdatesChangeNothing) {
  TestDirectory directory;
  const v1::Org before = GetAcme(directory);
  struct Case {
    std::string name;
    std::string path;
    std::string display_name;
    int tier;
    std::string message;
  };
  for (const Case& c :
       {Case{"unknown path", "etag", "", 0, "update_mask: names a field that cannot be updated"},
        Case{"no tier", "tier", "", 0, "org.tier: not a tier"}, Case{"other tier", "", "", 99, "org.tier: not a tier"},
        Case{"long name", "", std::string(257, 'x'), 0, "org.display_name: longer than 256 bytes"},
        Case{"control", "display_name", "a\x01", 0, "org.display_name: has control characters"}}) {
    SCOPED_TRACE(c.name);
    v1::UpdateOrgRequest request;
    request.mutable_org()->set_name("orgs/acme");
    request.mutable_org()->set_display_name(c.display_name);
    request.mutable_org()->set_tier(static_cast<v1::Tier>(c.tier));
    if (!c.path.empty()) request.mutable_update_mask()->add_paths(c.path);
    const absl::Status status = directory.orgs.UpdateOrg(directory.Root(), request).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(status.message(), c.message);
  }
  EXPECT_EQ(GetAcme(directory).SerializeAsString(), before.SerializeAsString());
}

TEST(OrgsTest, MembersSeeTheOrgAndOthersDoNot) {
  TestDirectory directory;
  directory.AddUser("ada");
  ASSERT_TRUE(EnsureOrgWithAdmin(directory.context, "rival", v1::TIER_FREE, "eve").ok());
  v1::GetOrgRequest get;
  get.set_name("orgs/acme");
  EXPECT_TRUE(directory.orgs.GetOrg(directory.As("orgs/acme/users/ada"), get).ok());
  const absl::Status hidden = directory.orgs.GetOrg(directory.As("orgs/rival/users/eve"), get).status();
  EXPECT_EQ(hidden.code(), absl::StatusCode::kNotFound);
  v1::UpdateOrgRequest update;
  update.mutable_org()->set_name("orgs/acme");
  update.mutable_org()->set_tier(v1::TIER_FREE);
  EXPECT_EQ(directory.orgs.UpdateOrg(directory.As("orgs/acme/users/ada"), update).status().code(),
            absl::StatusCode::kPermissionDenied);
  v1::GetOrgEncryptionRequest encryption;
  encryption.set_name("orgs/acme");
  EXPECT_EQ(directory.orgs.GetOrgEncryption(directory.As("orgs/acme/users/ada"), encryption).status().code(),
            absl::StatusCode::kPermissionDenied);
}

TEST(OrgsTest, TierTeamPutsEveryUserIntoDefault) {
  TestDirectory directory;
  directory.AddUser("ada");
  directory.AddTeam("eng");
  directory.AddMember("eng", "ada", v1::TEAM_ROLE_OWNER);
  directory.SetTier(v1::TIER_TEAM);
  EXPECT_EQ(TeamsOf(directory, "ada"), "default eng(suspended) ");
  directory.AddUser("bob");
  EXPECT_EQ(TeamsOf(directory, "bob"), "default ");
  EXPECT_EQ(directory.As("orgs/acme/users/bob").RoleIn("default"), v1::TEAM_ROLE_MEMBER);
}

TEST(OrgsTest, DowngradeSuspendsAndUpgradeBringsBack) {
  TestDirectory directory;
  directory.AddUser("ada");
  directory.AddTeam("eng");
  directory.AddMember("eng", "ada", v1::TEAM_ROLE_OWNER);
  directory.PutCredential("teams/eng", "A");
  directory.SetTier(v1::TIER_FREE);
  EXPECT_EQ(TeamsOf(directory, "ada"), "eng(suspended) ");
  EXPECT_TRUE(directory.HasCredential("teams/eng", "A"));
  v1::SetTeamMemberRequest member;
  member.mutable_member()->set_name("orgs/acme/teams/eng/members/root");
  member.mutable_member()->set_role(v1::TEAM_ROLE_MEMBER);
  EXPECT_EQ(ReasonOf(directory.teams.SetTeamMember(directory.Root(), member).status()), "SCOPE_SUSPENDED");
  v1::CreateTeamRequest create;
  create.set_parent("orgs/acme");
  create.set_team_id("ops");
  EXPECT_EQ(ReasonOf(directory.teams.CreateTeam(directory.Root(), create).status()), "TIER_LIMIT");
  directory.SetTier(v1::TIER_BUSINESS);
  EXPECT_EQ(TeamsOf(directory, "ada"), "eng ");
}

TEST(OrgsTest, AnOrgOfTierTeamStartsWithDefault) {
  TestDirectory directory(v1::TIER_TEAM);
  EXPECT_EQ(TeamsOf(directory, "root"), "default ");
  v1::RemoveTeamMemberRequest leave;
  leave.set_name("orgs/acme/teams/default/members/root");
  EXPECT_EQ(ReasonOf(directory.teams.RemoveTeamMember(directory.Root(), leave).status()), "TIER_LIMIT");
  v1::DeleteTeamRequest remove;
  remove.set_name("orgs/acme/teams/default");
  EXPECT_EQ(ReasonOf(directory.teams.DeleteTeam(directory.Root(), remove).status()), "TIER_LIMIT");
}

TEST(OrgsTest, DataKeyRotationShowsInTheEncryption) {
  TestDirectory directory;
  v1::GetOrgEncryptionRequest get;
  get.set_name("orgs/acme");
  const auto before = directory.orgs.GetOrgEncryption(directory.Root(), get);
  ASSERT_TRUE(before.ok()) << before.status();
  v1::RotateOrgDataKeyRequest rotate;
  rotate.set_name("orgs/acme");
  const auto after = directory.orgs.RotateOrgDataKey(directory.Root(), rotate);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_NE(after->current_key_id(), before->current_key_id());
}

TEST(OrgsTest, DeleteNeedsTheEtagAndLeavesNothing) {
  TestDirectory directory;
  directory.PutCredential("", "A");
  v1::DeleteOrgRequest remove;
  remove.set_name("orgs/acme");
  EXPECT_EQ(directory.orgs.DeleteOrg(directory.Root(), remove).status().message(), "etag: required");
  remove.set_etag("stale");
  EXPECT_EQ(ReasonOf(directory.orgs.DeleteOrg(directory.Root(), remove).status()), "STALE_ETAG");
  remove.set_etag(GetAcme(directory).etag());
  const Caller root = directory.Root();
  ASSERT_TRUE(directory.orgs.DeleteOrg(root, remove).ok());
  v1::GetOrgRequest get;
  get.set_name("orgs/acme");
  EXPECT_EQ(directory.orgs.GetOrg(root, get).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(FinishOrgDeletions(directory.store.get()).ok());
  EXPECT_TRUE(*EnsureOrgWithAdmin(directory.context, "acme", v1::TIER_FREE, "root")) << "the id is free again";
  EXPECT_FALSE(directory.HasCredential("", "A"));
}

TEST(OrgsTest, ADeletionThatWasCutShortIsFinishedAtStart) {
  TestDirectory directory;
  ASSERT_TRUE(EnsureOrgWithAdmin(directory.context, "rival", v1::TIER_FREE, "eve").ok());
  const std::string eve = directory.Login("orgs/rival/users/eve");
  ASSERT_TRUE(directory.store->DestroyOrg("rival").ok());
  EXPECT_EQ(ReasonOf(directory.Authenticate(eve)), "TOKEN_UNKNOWN");
  const storage::RecordKey key{storage::Table::kOrg, "", "", "rival"};
  ASSERT_TRUE(FinishOrgDeletions(directory.store.get()).ok());
  EXPECT_TRUE(*directory.store->View()->Contains(key)) << "nobody has deleted it";
  // What DeleteOrg writes first.
  auto org = *ReadRecord<storage::records::OrgRecord>(*directory.store->View(), key);
  org->record.set_deleting(true);
  storage::Mutation mark;
  mark.Put(key, storage::SerializeSecret(org->record), /*version=*/1, org->revision);
  ASSERT_TRUE(directory.store->Commit(mark, storage::Durability::kSynced).ok());
  ASSERT_TRUE(FinishOrgDeletions(directory.store.get()).ok());
  EXPECT_FALSE(*directory.store->View()->Contains({storage::Table::kOrg, "", "", "rival"}));
  EXPECT_TRUE(*directory.store->View()->Contains({storage::Table::kOrg, "", "", "acme"}));
}

}  // namespace
}  // namespace keyferry::server
