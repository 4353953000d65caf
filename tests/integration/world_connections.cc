#include "tests/integration/world_connections.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "keyferry/v1/connections.pb.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"
#include "tests/integration/world.h"

namespace keyferry::testing {
namespace {

namespace records = storage::records;
using storage::Table;

// When the user was made whose connection it is; 0 for those of others.
int64_t UserCreateTime(storage::Store* store, const std::string& org, const std::string& parent) {
  if (!absl::StartsWith(parent, "users/")) return 0;
  const auto found = store->View()->Get({Table::kUser, org, "", std::string(absl::StripPrefix(parent, "users/"))});
  if (!found.ok() || !found->has_value()) Die(parent);
  records::UserRecord user;
  if (!storage::ParseSecretInto((*found)->payload, user).ok()) Die(parent);
  return user.create_time();
}

}  // namespace

std::string NewProvider(const std::string& org, const std::string& id) {
  return absl::StrCat("parent: 'orgs/", org, "' oauth_provider_id: '", id,
                      "' oauth_provider { endpoints { authorization_url: 'https://127.0.0.1:1/authorize' "
                      "token_url: 'https://127.0.0.1:1/token' } client { client_id: 'keyferry' client_secret: '",
                      World::kMarker, "-", id, "' } }");
}

void PutConnection(storage::Store* store, absl::Time now, const std::string& org, const std::string& parent,
                   const std::string& provider) {
  const int64_t nanos = absl::ToUnixNanos(now);
  const int64_t expire_time = absl::ToUnixNanos(now + absl::Hours(1000));
  records::ConnectionRecord connection;
  connection.set_parent(parent);
  connection.set_id(provider);
  connection.set_state(v1::CONNECTION_STATE_CONNECTED);
  connection.set_version(1);
  connection.set_account("somebody@example.com");
  connection.set_expire_time(expire_time);
  connection.set_lifetime(expire_time - nanos);
  connection.set_last_refresh_time(nanos);
  connection.set_create_time(nanos);
  connection.set_update_time(nanos);
  connection.set_incarnation(absl::StrCat(parent, ":", provider));
  connection.set_change_count(1);
  connection.set_refreshable(true);
  storage::Wiped<records::ConnectionTokenRecord> token;
  token->set_parent(parent);
  token->set_id(provider);
  token->set_version(1);
  token->set_access_token(absl::StrCat(World::kMarker, "-access"));
  token->set_refresh_token(absl::StrCat(World::kMarker, "-refresh"));
  token->set_expire_time(expire_time);
  token->set_user_create_time(UserCreateTime(store, org, parent));
  connection.set_user_create_time(token->user_create_time());
  storage::Mutation mutation;
  mutation.Put({Table::kConnection, org, parent, provider}, storage::SerializeSecret(connection), 1, std::nullopt);
  mutation.Put({Table::kConnectionToken, org, parent, provider}, storage::SerializeSecret(*token), 1, std::nullopt);
  const auto committed = store->Commit(mutation, storage::Durability::kSynced);
  if (!committed.ok()) Die(committed.status().ToString());
}

}  // namespace keyferry::testing
