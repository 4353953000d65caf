#ifndef KEYFERRY_TESTS_INTEGRATION_MATRIX_WORLD_H_
#define KEYFERRY_TESTS_INTEGRATION_MATRIX_WORLD_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "grpcpp/support/status.h"
#include "keyferry/v1/directory.pb.h"
#include "server/identity/jwt/testing_jwt.h"
#include "tests/integration/access_matrix.h"
#include "tests/integration/world.h"

namespace keyferry::testing {

// One caller, with what decides how it stands to a resource.
struct Identity {
  enum Kind { kUser, kService, kWorkload };

  std::string org;
  Kind kind;
  std::string id;
  bool admin = false;
  bool granted = false;
  // Team id to its letter: O, A or M.
  std::map<std::string, char> teams;
  std::string bearer;

  std::string Name() const;
};

// One place of one organization: itself, a team or a user.
struct PlaceName {
  Place kind;
  std::string org;
  std::string id;

  std::string Name() const;
  // The same place of nobody.
  std::string AbsentName() const;
};

// The World with callers in every relation, and in each place the same things: KEY with a previous version, the MCP
// server `tool`, a connection to the provider `idp`, and things to be used up by deletions ("doomed").
class MatrixWorld {
 public:
  MatrixWorld();

  const std::vector<Identity>& identities() const { return identities_; }
  const std::vector<PlaceName>& places() const { return places_; }
  World* world() { return &world_; }

  // Calls with a request in text format.
  grpc::Status Call(const Identity& identity, const std::string& method, const std::string& request,
                    std::string* response = nullptr);
  // How often a call reads the store once nothing has to be read anew: the least of three tries.
  int64_t ReadsOf(const Identity& identity, const std::string& method, const std::string& request);

  // Of the organization `acme`; `rival` stays BUSINESS.
  void SetTier(v1::Tier tier);
  // Whether the tier of the place's organization leaves out the team.
  bool IsSuspended(const PlaceName& place, const std::string& team) const;

  // The name, below the user, of a token that can be revoked.
  std::string LiveToken(const PlaceName& user);
  // The id of a new session of the organization's ADMIN.
  std::string LiveSession(const PlaceName& org);
  // The id of a new attempt of the organization's ADMIN to connect it.
  std::string LiveAttempt(const PlaceName& org);
  // The id of a process that watches `tool` of the organization as its granted workload and confirms, and the revision
  // that it was sent. Of `rival`, which has no such workload, nobody's.
  std::string LiveProcess(const PlaceName& org, const std::string& id, int64_t* revision);
  // Waits until no rewrap of data keys is under way.
  void AwaitRewrap();

 private:
  const Identity& Find(const std::string& org, const std::string& id) const;
  void Must(const Identity& identity, const std::string& method, const std::string& request);
  void AddPeople();
  void AddIdentities();
  void FillPlace(const PlaceName& place);

  std::atomic<int64_t> reads_{0};
  // Of an issuer of OpenID Connect, by whose word users/eli calls.
  const server::TestJwtKey key_{server::JwtAlgorithm::kEs256, "k1"};
  World world_;
  std::vector<Identity> identities_;
  std::vector<PlaceName> places_;
  v1::Tier tier_ = v1::TIER_BUSINESS;
};

// The letter of the row for the caller in the place: the most that any of its relations allows.
char ExpectedLetter(const MatrixRow& row, const PlaceName& place, const Identity& identity);

}  // namespace keyferry::testing

#endif  // KEYFERRY_TESTS_INTEGRATION_MATRIX_WORLD_H_
