#ifndef KEYFERRY_SERVER_DIRECTORY_TESTING_DIRECTORY_H_
#define KEYFERRY_SERVER_DIRECTORY_TESTING_DIRECTORY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/credentials/parent_counts.h"
#include "server/directory/common.h"
#include "server/directory/enrolment.h"
#include "server/directory/orgs.h"
#include "server/directory/principals.h"
#include "server/directory/teams.h"
#include "server/directory/tokens.h"
#include "server/directory/users.h"
#include "server/identity/authenticator.h"
#include "server/identity/caller.h"
#include "server/identity/testing_external.h"
#include "server/pagination.h"
#include "storage/store.h"

namespace keyferry::server {

// Testonly. A store on RocksDB in a new directory below $TEST_TMPDIR that holds the org `acme` with the ADMIN `root`,
// the rules of the directory over it, and a clock that the test moves.
class TestDirectory {
 public:
  explicit TestDirectory(v1::Tier tier = v1::TIER_BUSINESS);

  // A new token of the principal, "Bearer TOKEN". Aborts if there is no such principal.
  std::string Login(const std::string& principal);
  // The caller that a new token of the principal stands for.
  Caller As(const std::string& principal);
  Caller Root() { return As("orgs/acme/users/root"); }
  absl::Status Authenticate(const std::string& authorization) {
    return authenticator.Authenticate(authorization).status();
  }

  // Made by root; each aborts if it fails.
  void AddUser(const std::string& id, v1::OrgRole role = v1::ORG_ROLE_MEMBER);
  void AddTeam(const std::string& id);
  void AddMember(const std::string& team, const std::string& user, v1::TeamRole role);
  void SetTier(v1::Tier tier);

  // Stores a credential record and its value as the credential rules would.
  void PutCredential(const std::string& parent, const std::string& id);
  bool HasCredential(const std::string& parent, const std::string& id);

  std::unique_ptr<storage::Store> store;
  absl::Time now = absl::FromUnixSeconds(1700000000);
  PageTokens pages;
  absl::Mutex changes;
  FakeExternalIdentities external;
  ParentCounts user_counts;
  DirectoryContext context;
  // Audit entries of enrolments that failed.
  std::vector<v1::AuditEntry> not_enrolled;
  // Runs at once.
  Enrolment enrolment;
  Authenticator authenticator;
  OrgRules orgs;
  UserRules users;
  TeamRules teams;
  PrincipalRules principals;
  TokenRules tokens;

 private:
  explicit TestDirectory(std::unique_ptr<storage::Store> opened, v1::Tier tier);
};

// The reason of the status's detail, "" if it has none.
std::string ReasonOf(const absl::Status& status);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_DIRECTORY_TESTING_DIRECTORY_H_
