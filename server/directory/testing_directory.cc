#include "server/directory/testing_directory.h"

#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/directory/bootstrap.h"
#include "server/errors.h"
#include "storage/crypto/key_provider.h"
#include "storage/open.h"
#include "storage/testing_store.h"

namespace keyferry::server {
namespace {

void Check(const absl::Status& status, absl::string_view what) {
  if (status.ok()) return;
  std::cerr << "test set-up failed: " << what << ": " << status << "\n";
  std::abort();
}

std::unique_ptr<storage::Store> OpenNewStore() {
  const std::string directory = storage::MakeTestDirectory();
  const std::string kek = absl::StrCat(directory, "/kek");
  Check(storage::CreateKekFile(kek), "KEK");
  auto key_provider = storage::LoadFileKeyProvider(kek);
  Check(key_provider.status(), "key provider");
  storage::OpenOptions options;
  options.data_dir = absl::StrCat(directory, "/store");
  options.create = true;
  options.memory_budget = size_t{16} << 20;
  auto store = storage::OpenStore(options, **key_provider);
  Check(store.status(), "store");
  return std::move(*store);
}

}  // namespace

TestDirectory::TestDirectory(v1::Tier tier) : TestDirectory(OpenNewStore(), tier) {}

TestDirectory::TestDirectory(std::unique_ptr<storage::Store> opened, v1::Tier tier)
    : store(std::move(opened)),
      user_counts(store.get(), storage::Table::kUser, UserRules::kMaxUsers, "users"),
      context{store.get(), [this] { return now; }, &pages, &changes, &external, &user_counts},
      enrolment(context,
                [](const std::string&, const std::function<void()>& work) {
                  work();
                  return true;
                },
                {/*logger=*/nullptr, [this](const CallRecord& record) { not_enrolled.push_back(record.entry); }}),
      authenticator(
          store.get(), [this] { return now; }, &external, &enrolment),
      orgs(context),
      users(context),
      teams(context),
      principals(context),
      tokens(context) {
  Check(EnsureOrgWithAdmin(context, "acme", tier, "root").status(), "org");
}

std::string TestDirectory::Login(const std::string& principal) {
  const auto name = ParseParent(principal, "principal");
  Check(name.status(), principal);
  const auto view = store->View();
  const auto revision = FindPrincipal(*view, *name);
  Check(revision.status(), principal);
  const auto issued = IssueToken(context, Caller(), *view, *name, *revision, "", principal, now + absl::Hours(24));
  Check(issued.status(), principal);
  return absl::StrCat("Bearer ", issued->text.Expose());
}

Caller TestDirectory::As(const std::string& principal) {
  const auto caller = authenticator.Authenticate(Login(principal));
  Check(caller.status(), principal);
  return **caller;
}

void TestDirectory::AddUser(const std::string& id, v1::OrgRole role) {
  v1::CreateUserRequest request;
  request.set_parent("orgs/acme");
  request.set_user_id(id);
  request.mutable_user()->set_role(role);
  Check(users.CreateUser(Root(), request).status(), id);
}

void TestDirectory::AddTeam(const std::string& id) {
  v1::CreateTeamRequest request;
  request.set_parent("orgs/acme");
  request.set_team_id(id);
  Check(teams.CreateTeam(Root(), request).status(), id);
}

void TestDirectory::AddMember(const std::string& team, const std::string& user, v1::TeamRole role) {
  v1::SetTeamMemberRequest request;
  request.mutable_member()->set_name(absl::StrCat("orgs/acme/teams/", team, "/members/", user));
  request.mutable_member()->set_role(role);
  Check(teams.SetTeamMember(Root(), request).status(), user);
}

void TestDirectory::SetTier(v1::Tier tier) {
  v1::UpdateOrgRequest request;
  request.mutable_org()->set_name("orgs/acme");
  request.mutable_org()->set_tier(tier);
  Check(orgs.UpdateOrg(Root(), request).status(), "tier");
}

void TestDirectory::PutCredential(const std::string& parent, const std::string& id) {
  storage::records::CredentialRecord record;
  record.set_parent(parent);
  record.set_id(id);
  storage::Mutation mutation;
  mutation.Put({storage::Table::kCredential, "acme", parent, id},
               storage::SecretBytes::CopyOf(record.SerializeAsString()), 1, 0);
  mutation.Put({storage::Table::kCredentialValue, "acme", parent, id}, storage::SecretBytes::CopyOf("v"), 1, 0);
  Check(store->Commit(mutation, storage::Durability::kSynced).status(), id);
}

bool TestDirectory::HasCredential(const std::string& parent, const std::string& id) {
  const auto view = store->View();
  return *view->Contains({storage::Table::kCredential, "acme", parent, id}) ||
         *view->Contains({storage::Table::kCredentialValue, "acme", parent, id});
}

std::string ReasonOf(const absl::Status& status) {
  v1::ErrorDetail detail;
  return GetDetail(status, &detail) ? detail.reason() : "";
}

}  // namespace keyferry::server
