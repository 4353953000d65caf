// Callers who bring the word of a platform instead of an API token, and what is granted to them.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/directory/bootstrap.h"
#include "server/directory/testing_directory.h"
#include "server/identity/authenticator.h"
#include "server/identity/external_identity.h"
#include "server/identity/token_text.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {
namespace {

constexpr char kToken[] = "aa.bb.cc";
constexpr char kSpiffe[] = "spiffe://prod/tools/mcp";

ExternalIdentity Pod(const std::string& pod = "pod-0", const std::string& uid = "uid-0") {
  return {"cluster", "system:serviceaccount:tools:mcp", "tools", "mcp", pod, uid, ""};
}

v1::WorkloadIdentity Kubernetes(const std::string& pod = "", const std::string& uid = "") {
  v1::WorkloadIdentity identity;
  identity.mutable_kubernetes()->set_issuer("cluster");
  identity.mutable_kubernetes()->set_namespace_("tools");
  identity.mutable_kubernetes()->set_service_account("mcp");
  identity.mutable_kubernetes()->set_pod(pod);
  identity.mutable_kubernetes()->set_pod_uid(uid);
  return identity;
}

v1::WorkloadIdentity Spiffe() {
  v1::WorkloadIdentity identity;
  identity.set_spiffe_id(kSpiffe);
  return identity;
}

class ExternalAuthenticationTest : public ::testing::Test {
 protected:
  absl::Status Create(const std::string& id, const std::vector<v1::WorkloadIdentity>& identities,
                      const std::string& org = "acme") {
    v1::CreateWorkloadRequest request;
    request.set_parent("orgs/" + org);
    request.set_workload_id(id);
    request.mutable_workload()->add_mcp_servers("orgs/" + org + "/mcpServers/github");
    request.mutable_workload()->set_can_use_sessions(true);
    for (const auto& identity : identities) *request.mutable_workload()->add_identities() = identity;
    return directory_.principals.CreateWorkload(directory_.As("orgs/" + org + "/users/root"), request).status();
  }
  // Another organization that the issuer's identities may enter.
  void AddRival() {
    ASSERT_TRUE(EnsureOrgWithAdmin(directory_.context, "rival", v1::TIER_BUSINESS, "root").ok());
    directory_.external.entered.insert("rival");
  }
  absl::StatusOr<v1::Workload> Update(const std::string& id, const std::vector<v1::WorkloadIdentity>& identities) {
    v1::UpdateWorkloadRequest request;
    request.mutable_workload()->set_name("orgs/acme/workloads/" + id);
    for (const auto& identity : identities) *request.mutable_workload()->add_identities() = identity;
    request.mutable_update_mask()->add_paths("identities");
    return directory_.principals.UpdateWorkload(directory_.Root(), request);
  }
  absl::Status Delete(const std::string& id) {
    v1::DeleteWorkloadRequest request;
    request.set_name("orgs/acme/workloads/" + id);
    return directory_.principals.DeleteWorkload(directory_.Root(), request).status();
  }
  // The id of the workload that the caller is, or the reason why there is none.
  std::string Who(const CallCredentials& credentials) {
    const auto caller = directory_.authenticator.Authenticate(credentials);
    return caller.ok() ? (*caller)->id : ReasonOf(caller.status());
  }
  std::string WhoIs(const ExternalIdentity& identity, const std::string& token) {
    directory_.external.Add(token, identity);
    return Who({absl::StrCat("Bearer ", token), ""});
  }
  // By a token that was never shown before.
  std::string WhoIs(const ExternalIdentity& identity) { return WhoIs(identity, absl::StrCat("aa.bb.", ++tokens_)); }

  TestDirectory directory_;
  int tokens_ = 0;
};

TEST_F(ExternalAuthenticationTest, AnIdentityCallsAsTheWorkloadThatItIsGrantedTo) {
  ASSERT_EQ(Create("runner", {Kubernetes()}), absl::OkStatus());
  directory_.external.Add(kToken, Pod(), directory_.now + absl::Hours(1));
  const auto caller = directory_.authenticator.Authenticate("Bearer aa.bb.cc");
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ((*caller)->Name(), "orgs/acme/workloads/runner");
  EXPECT_EQ((*caller)->kind, PrincipalKind::kWorkload);
  EXPECT_EQ((*caller)->tier, v1::TIER_BUSINESS);
  EXPECT_EQ((*caller)->granted_mcp_servers, std::vector<std::string>{"orgs/acme/mcpServers/github"});
  EXPECT_TRUE((*caller)->can_use_sessions);
  ASSERT_NE((*caller)->external, nullptr);
  EXPECT_EQ((*caller)->external->pod, "pod-0");
  EXPECT_EQ((*caller)->token_expire_time, directory_.now + absl::Hours(1));
  EXPECT_EQ(RecordsOf(**caller).size(), 3u);
  directory_.now += absl::Hours(1);
  EXPECT_EQ(ReasonOf(directory_.authenticator.Authenticate("Bearer aa.bb.cc").status()), "TOKEN_EXPIRED");
}

TEST_F(ExternalAuthenticationTest, TheNarrowestGrantCounts) {
  ASSERT_EQ(Create("all", {Kubernetes()}), absl::OkStatus());
  EXPECT_EQ(WhoIs(Pod()), "all");
  ASSERT_EQ(Create("by-name", {Kubernetes("pod-0", "")}), absl::OkStatus());
  EXPECT_EQ(WhoIs(Pod()), "by-name");
  ASSERT_EQ(Create("by-uid", {Kubernetes("", "uid-0")}), absl::OkStatus());
  EXPECT_EQ(WhoIs(Pod()), "by-uid");
  ASSERT_EQ(Create("by-both", {Kubernetes("pod-0", "uid-0")}), absl::OkStatus());
  EXPECT_EQ(WhoIs(Pod()), "by-both");
  EXPECT_EQ(WhoIs(Pod("pod-0", "uid-1")), "by-name");
  EXPECT_EQ(WhoIs(Pod("pod-1", "uid-0")), "by-uid");
  EXPECT_EQ(WhoIs(Pod("pod-1", "uid-1")), "all");
  EXPECT_EQ(WhoIs(Pod("", "")), "all");
}

TEST_F(ExternalAuthenticationTest, NobodyElseIsLetIn) {
  ASSERT_EQ(Create("runner", {Kubernetes("pod-0", "")}), absl::OkStatus());
  EXPECT_EQ(WhoIs(Pod("pod-1")), "IDENTITY_REFUSED");
  EXPECT_EQ(WhoIs(Pod("")), "IDENTITY_REFUSED");
  for (const auto& [issuer, name_space, account] :
       {std::tuple("other", "tools", "mcp"), std::tuple("cluster", "tool", "smcp"),
        std::tuple("cluster", "mcp", "tools")}) {
    ExternalIdentity identity = Pod();
    identity.issuer = issuer;
    identity.name_space = name_space;
    identity.service_account = account;
    EXPECT_EQ(WhoIs(identity), "IDENTITY_REFUSED") << issuer << name_space << account;
  }
  EXPECT_EQ(Who({"Bearer dd.ee.ff", ""}), "IDENTITY_REFUSED");
  EXPECT_EQ(Who({"Bearer no-jwt", ""}), "TOKEN_MALFORMED");
  EXPECT_EQ(Who({"", ""}), "TOKEN_MISSING");
}

TEST_F(ExternalAuthenticationTest, WhatIsRevokedEndsAtOnce) {
  ASSERT_EQ(Create("runner", {Kubernetes()}), absl::OkStatus());
  EXPECT_EQ(WhoIs(Pod(), kToken), "runner");
  const std::string hash = HashTokenText(kToken);
  EXPECT_TRUE(directory_.authenticator.AuthenticateAgain(hash, /*external=*/true).ok());
  ASSERT_TRUE(Update("runner", {}).ok());
  EXPECT_EQ(WhoIs(Pod(), kToken), "IDENTITY_REFUSED");
  EXPECT_EQ(ReasonOf(directory_.authenticator.AuthenticateAgain(hash, /*external=*/true).status()), "IDENTITY_REFUSED");
  ASSERT_TRUE(Update("runner", {Kubernetes()}).ok());
  EXPECT_EQ(WhoIs(Pod(), kToken), "runner");
  EXPECT_TRUE(directory_.authenticator.AuthenticateAgain(hash, /*external=*/true).ok());
  // What verified it is trusted no longer.
  directory_.external.by_hash.clear();
  EXPECT_EQ(ReasonOf(directory_.authenticator.AuthenticateAgain(hash, /*external=*/true).status()), "TOKEN_UNKNOWN");
  // It was merely forgotten.
  directory_.external.forgotten = absl::UnavailableError("later");
  EXPECT_EQ(directory_.authenticator.AuthenticateAgain(hash, /*external=*/true).status(),
            directory_.external.forgotten);
  ASSERT_EQ(Delete("runner"), absl::OkStatus());
  EXPECT_EQ(ReasonOf(directory_.authenticator.AuthenticateAgain(hash, /*external=*/false).status()), "TOKEN_UNKNOWN");
  EXPECT_EQ(WhoIs(Pod(), kToken), "IDENTITY_REFUSED");
  // Its identities are free again.
  ASSERT_EQ(Create("next", {Kubernetes()}), absl::OkStatus());
  EXPECT_EQ(WhoIs(Pod(), kToken), "next");
  v1::GetOrgRequest get;
  get.set_name("orgs/acme");
  v1::DeleteOrgRequest remove;
  remove.set_name("orgs/acme");
  remove.set_etag(directory_.orgs.GetOrg(directory_.Root(), get)->etag());
  ASSERT_TRUE(directory_.orgs.DeleteOrg(directory_.Root(), remove).ok());
  EXPECT_EQ(WhoIs(Pod(), kToken), "IDENTITY_REFUSED");
}

TEST_F(ExternalAuthenticationTest, AnIndexEntryWithoutItsGrantOpensNothing) {
  ASSERT_EQ(Create("runner", {Spiffe()}), absl::OkStatus());
  storage::records::WorkloadIdentityRecord grant;
  grant.set_issuer("cluster");
  grant.set_namespace_("tools");
  grant.set_service_account("mcp");
  storage::records::WorkloadIdentityIndexRecord index;
  index.set_org("acme");
  index.set_workload("runner");
  storage::Mutation mutation;
  mutation.Put({storage::Table::kWorkloadIdentity, "", "", IdentityId(grant)},
               storage::SecretBytes::CopyOf(index.SerializeAsString()), 1, 0);
  ASSERT_TRUE(directory_.store->Commit(mutation, storage::Durability::kSynced).ok());
  EXPECT_EQ(WhoIs(Pod(), kToken), "IDENTITY_REFUSED");
  ASSERT_EQ(Create("other", {Kubernetes("pod-0", "")}), absl::OkStatus());
  EXPECT_EQ(WhoIs(Pod(), kToken), "other");
}

TEST_F(ExternalAuthenticationTest, AnIdentityThatMayNotEnterTheOrgIsRefusedWhateverIsGranted) {
  ASSERT_EQ(Create("runner", {Kubernetes()}), absl::OkStatus());
  EXPECT_EQ(WhoIs(Pod(), kToken), "runner");
  directory_.external.entered.clear();
  // As the server would read it after a change of its configuration.
  Authenticator restarted(directory_.store.get(), directory_.context.clock, &directory_.external);
  EXPECT_EQ(ReasonOf(restarted.Authenticate("Bearer aa.bb.cc").status()), "IDENTITY_REFUSED");
}

TEST_F(ExternalAuthenticationTest, AnIdentityBelongsToOneWorkload) {
  ASSERT_EQ(Create("a", {Kubernetes(), Spiffe()}), absl::OkStatus());
  EXPECT_EQ(ReasonOf(Create("b", {Kubernetes()})), "IDENTITY_TAKEN");
  EXPECT_EQ(ReasonOf(Create("b", {Kubernetes("pod-0", ""), Spiffe()})), "IDENTITY_TAKEN");
  ASSERT_EQ(Create("b", {Kubernetes("pod-0", "")}), absl::OkStatus());
  EXPECT_EQ(ReasonOf(Update("b", {Kubernetes()}).status()), "IDENTITY_TAKEN");
  // Kept ones are not taken by themselves.
  const auto updated = Update("a", {Kubernetes(), Kubernetes("pod-1", "")});
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->identities_size(), 2);
  ASSERT_TRUE(Update("b", {Spiffe()}).ok());
}

// What an org has granted before the configuration takes it out of those that may be entered.
TEST_F(ExternalAuthenticationTest, AGrantOfAnOrgThatMayNotBeEnteredHidesNoOther) {
  AddRival();
  ASSERT_EQ(Create("thief", {Kubernetes("pod-0", "")}, "rival"), absl::OkStatus());
  EXPECT_EQ(WhoIs(Pod()), "thief");
  directory_.external.entered.erase("rival");
  EXPECT_EQ(WhoIs(Pod()), "IDENTITY_REFUSED");
  ASSERT_EQ(Create("runner", {Kubernetes()}), absl::OkStatus());
  EXPECT_EQ(WhoIs(Pod()), "runner");
  // Back again: the widest grant says whose the account is, and narrower ones of that org count.
  directory_.external.entered.insert("rival");
  EXPECT_EQ(WhoIs(Pod()), "runner");
  directory_.external.entered.erase("rival");
  ASSERT_EQ(Create("by-uid", {Kubernetes("", "uid-0")}), absl::OkStatus());
  directory_.external.entered.insert("rival");
  EXPECT_EQ(WhoIs(Pod()), "by-uid");
}

TEST_F(ExternalAuthenticationTest, AnAccountOfAnotherOrgIsRefusedLikeOneThatIsNotTrusted) {
  AddRival();
  ASSERT_EQ(Create("runner", {Kubernetes(), Spiffe()}), absl::OkStatus());
  directory_.external.entered.erase("rival");
  const absl::Status not_trusted = Create("thief", {Kubernetes()}, "rival");
  EXPECT_EQ(ReasonOf(not_trusted), "INVALID_FIELD");
  const absl::Status no_domain = Create("thief", {Spiffe()}, "rival");
  directory_.external.entered.insert("rival");
  for (const auto& identity : {Kubernetes(), Kubernetes("pod-0", ""), Kubernetes("", "uid-0")}) {
    EXPECT_EQ(Create("thief", {identity}, "rival"), not_trusted);
  }
  EXPECT_EQ(Create("thief", {Spiffe()}, "rival"), no_domain);
  ASSERT_TRUE(Update("runner", {Kubernetes("pod-0", "")}).ok());
  EXPECT_EQ(Create("thief", {Kubernetes()}, "rival"), not_trusted) << "a wider one takes the pod too";
  ASSERT_TRUE(Update("runner", {}).ok());
  EXPECT_EQ(Create("next", {Kubernetes(), Spiffe()}, "rival"), absl::OkStatus());
}

TEST_F(ExternalAuthenticationTest, WhatIsAllowedNoMoreDoesNotKeepAnotherFromBeingRevoked) {
  ASSERT_EQ(Create("runner", {Kubernetes(), Kubernetes("pod-0", "")}), absl::OkStatus());
  directory_.external.entered.clear();
  const auto updated = Update("runner", {Kubernetes()});
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->identities_size(), 1);
  EXPECT_EQ(ReasonOf(Update("runner", {Kubernetes(), Kubernetes("pod-0", "")}).status()), "INVALID_FIELD");
}

TEST_F(ExternalAuthenticationTest, ACertificateCountsWhereThereIsNoToken) {
  ASSERT_EQ(Create("runner", {Spiffe()}), absl::OkStatus());
  directory_.external.Add("a certificate", {"prod", kSpiffe, "", "", "", "", kSpiffe});
  EXPECT_EQ(Who({"", "a certificate"}), "runner");
  EXPECT_EQ(Who({"", "another"}), "IDENTITY_REFUSED");
  const std::string root = directory_.Login("orgs/acme/users/root");
  EXPECT_EQ(Who({root, "a certificate"}), "root");
  EXPECT_EQ(Who({"Bearer x", "a certificate"}), "TOKEN_MALFORMED");
  Authenticator without(directory_.store.get(), directory_.context.clock);
  EXPECT_EQ(ReasonOf(without.Authenticate(CallCredentials{"", "a certificate"}).status()), "TOKEN_MISSING");
  EXPECT_EQ(ReasonOf(without.Authenticate("Bearer aa.bb.cc").status()), "TOKEN_MALFORMED");
}

TEST_F(ExternalAuthenticationTest, BadIdentitiesAreRefusedWithTheirField) {
  const auto changed = [](auto change) {
    v1::WorkloadIdentity identity = Kubernetes();
    change(identity);
    return identity;
  };
  const std::pair<v1::WorkloadIdentity, std::string> cases[] = {
      {v1::WorkloadIdentity(), "identities[0]"},
      {changed([](auto& i) { i.set_spiffe_id(kSpiffe); }), "identities[0]"},
      {changed([](auto& i) { i.mutable_kubernetes()->set_issuer("other"); }), "identities[0].kubernetes.issuer"},
      {changed([](auto& i) { i.mutable_kubernetes()->clear_issuer(); }), "identities[0].kubernetes.issuer"},
      {changed([](auto& i) { i.mutable_kubernetes()->set_namespace_("A"); }), "identities[0].kubernetes.namespace"},
      {changed([](auto& i) { i.mutable_kubernetes()->clear_service_account(); }), "kubernetes.service_account"},
      {changed([](auto& i) { i.mutable_kubernetes()->set_pod("a/b"); }), "identities[0].kubernetes.pod"},
      {changed([](auto& i) { i.mutable_kubernetes()->set_pod_uid("a b"); }), "identities[0].kubernetes.pod_uid"},
      {changed([](auto& i) { i.clear_kubernetes(), i.set_spiffe_id("spiffe://prod"); }), "identities[0].spiffe_id"},
      {changed([](auto& i) { i.clear_kubernetes(), i.set_spiffe_id("spiffe://elsewhere/a"); }),
       "identities[0].spiffe_id"},
  };
  for (const auto& [identity, field] : cases) {
    const absl::Status status = Create("bad", {identity});
    EXPECT_EQ(ReasonOf(status), "INVALID_FIELD") << status;
    EXPECT_NE(status.message().find(absl::StrCat(field, ":")), absl::string_view::npos) << field << ": " << status;
  }
  EXPECT_EQ(ReasonOf(Create("bad", {Kubernetes(), Kubernetes()})), "INVALID_FIELD");
  std::vector<v1::WorkloadIdentity> many;
  for (int i = 0; i < 17; ++i) many.push_back(Kubernetes(absl::StrCat("pod-", i), ""));
  EXPECT_EQ(ReasonOf(Create("bad", many)), "INVALID_FIELD");
  many.pop_back();
  EXPECT_EQ(Create("good", many), absl::OkStatus());
}

}  // namespace
}  // namespace keyferry::server
