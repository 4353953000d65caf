#ifndef KEYFERRY_SERVER_CREDENTIALS_TESTING_WORLD_H_
#define KEYFERRY_SERVER_CREDENTIALS_TESTING_WORLD_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "keyferry/v1/credentials.pb.h"
#include "keyferry/v1/errors.pb.h"
#include "server/credentials/credential_rules.h"
#include "server/identity/caller.h"
#include "server/pagination.h"
#include "server/usage/usage_recorder.h"
#include "storage/crypto/testing_key_provider.h"
#include "storage/store.h"
#include "storage/testing_store.h"

namespace keyferry::server {

// Testonly. The real store over one engine, with an org "acme", its users and teams, and a clock that tests set:
// - users: "root" (ADMIN), "ada" (OWNER of eng), "bob" (MEMBER of eng), "eve" (MEMBER of ops), "zoe" (no team);
// - teams: "eng", "ops", "default" (ada).
// And an org "other" with the ADMIN "mallory".
class World {
 public:
  explicit World(storage::EngineKind engine);
  ~World();

  // What kill -9 and a new start do: nothing is folded, the store is opened again.
  void Restart();
  // A recorder with other options, and the rules with it.
  void RestartUsage(const UsageRecorder::Options& options);

  // A caller as the authenticator would make it, in tier `tier`.
  Caller As(absl::string_view user) const;
  Caller Service(v1::OrgRole role) const;
  Caller Workload(std::vector<std::string> granted) const;

  // Creates, or fails the test.
  v1::Credential Create(const Caller& caller, const std::string& parent, const std::string& id,
                        const std::string& value);
  absl::StatusOr<v1::Credential> Get(const Caller& caller, const std::string& name) const;
  // What UpdateOrg would: the names that acme allows although they change how a process starts.
  void AllowNames(const std::vector<std::string>& names);
  // The stored current or previous value: "v3:text", or "(absent)".
  std::string Value(const std::string& parent, const std::string& id,
                    storage::Table table = storage::Table::kCredentialValue);
  // Of the whole store: nothing was changed between two equal ones.
  storage::Revision Revision() { return store->View()->revision(); }
  Clock clock() {
    return [this] { return now; };
  }

  v1::Tier tier = v1::TIER_BUSINESS;
  absl::Time now = absl::FromUnixSeconds(1800000000);
  PageTokens pages;
  std::unique_ptr<storage::Store> store;
  std::unique_ptr<AuditLog> audit;
  std::unique_ptr<UsageRecorder> usage;
  std::unique_ptr<CredentialRules> credentials;

 private:
  void Open();
  // In the order in which they depend on one another.
  void Close();
  void Fill();

  storage::FakeKeyProvider kek_{1};
  storage::TestEngine engine_;
};

// The detail of a status, empty if it has none.
v1::ErrorDetail DetailOf(const absl::Status& status);

// All that a caller is told: code, message and detail.
std::string Told(const absl::Status& status);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_CREDENTIALS_TESTING_WORLD_H_
