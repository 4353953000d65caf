// How much an organization may hold. Records are put straight into the store up to one below the limit.
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/directory/testing_directory.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

template <typename Record>
void Fill(TestDirectory* directory, Table table, int count) {
  storage::Mutation mutation;
  for (int i = 0; i < count; ++i) {
    Record record;
    record.set_id(absl::StrCat("filler-", i));
    mutation.Put({table, "acme", "", record.id()}, storage::SerializeSecret(record), /*version=*/1, /*expected=*/0);
  }
  ASSERT_TRUE(directory->store->Commit(mutation, storage::Durability::kSynced).ok());
}

// `create` makes one with the given id; one more fits, then none until `remove` has made a place.
void ExpectQuota(const std::function<absl::Status(const std::string&)>& create,
                 const std::function<absl::Status(const std::string&)>& remove) {
  EXPECT_EQ(create("last"), absl::OkStatus());
  const absl::Status refused = create("too-many");
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused), "TOO_MANY");
  EXPECT_EQ(ReasonOf(create("last")), "ALREADY_EXISTS") << "what exists is not one too many";
  EXPECT_EQ(remove("last"), absl::OkStatus());
  EXPECT_EQ(create("fits-again"), absl::OkStatus());
  EXPECT_EQ(ReasonOf(create("too-many")), "TOO_MANY");
}

TEST(QuotasTest, Users) {
  TestDirectory directory;
  // The ADMIN is one of them.
  Fill<records::UserRecord>(&directory, Table::kUser, UserRules::kMaxUsers - 2);
  const Caller root = directory.Root();
  ExpectQuota(
      [&](const std::string& id) {
        v1::CreateUserRequest request;
        request.set_parent("orgs/acme");
        request.set_user_id(id);
        request.mutable_user()->set_role(v1::ORG_ROLE_MEMBER);
        return directory.users.CreateUser(root, request).status();
      },
      [&](const std::string& id) {
        v1::DeleteUserRequest request;
        request.set_name("orgs/acme/users/" + id);
        return directory.users.DeleteUser(root, request).status();
      });
}

TEST(QuotasTest, Teams) {
  TestDirectory directory;
  Fill<records::TeamRecord>(&directory, Table::kTeam, TeamRules::kMaxTeams - 1);
  const Caller root = directory.Root();
  ExpectQuota(
      [&](const std::string& id) {
        v1::CreateTeamRequest request;
        request.set_parent("orgs/acme");
        request.set_team_id(id);
        return directory.teams.CreateTeam(root, request).status();
      },
      [&](const std::string& id) {
        v1::DeleteTeamRequest request;
        request.set_name("orgs/acme/teams/" + id);
        return directory.teams.DeleteTeam(root, request).status();
      });
}

TEST(QuotasTest, Services) {
  TestDirectory directory;
  Fill<records::ServiceRecord>(&directory, Table::kService, PrincipalRules::kMaxServices - 1);
  const Caller root = directory.Root();
  ExpectQuota(
      [&](const std::string& id) {
        v1::CreateServiceRequest request;
        request.set_parent("orgs/acme");
        request.set_service_id(id);
        request.mutable_service()->set_role(v1::ORG_ROLE_MEMBER);
        return directory.principals.CreateService(root, request).status();
      },
      [&](const std::string& id) {
        v1::DeleteServiceRequest request;
        request.set_name("orgs/acme/services/" + id);
        return directory.principals.DeleteService(root, request).status();
      });
}

TEST(QuotasTest, Workloads) {
  TestDirectory directory;
  Fill<records::WorkloadRecord>(&directory, Table::kWorkload, PrincipalRules::kMaxWorkloads - 1);
  const Caller root = directory.Root();
  ExpectQuota(
      [&](const std::string& id) {
        v1::CreateWorkloadRequest request;
        request.set_parent("orgs/acme");
        request.set_workload_id(id);
        return directory.principals.CreateWorkload(root, request).status();
      },
      [&](const std::string& id) {
        v1::DeleteWorkloadRequest request;
        request.set_name("orgs/acme/workloads/" + id);
        return directory.principals.DeleteWorkload(root, request).status();
      });
}

}  // namespace
}  // namespace keyferry::server
