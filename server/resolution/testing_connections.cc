#include "server/resolution/testing_connections.h"

#include <optional>

#include "gtest/gtest.h"
#include "keyferry/v1/connections.pb.h"
#include "server/oauth/connection_records.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

template <typename Record>
void Put(storage::Mutation* mutation, const storage::RecordKey& key, const Record& record) {
  mutation->Put(key, storage::SerializeSecret(record), /*version=*/1, /*expected=*/std::nullopt);
}

void Commit(storage::Store* store, const storage::Mutation& mutation) {
  const auto committed = store->Commit(mutation, storage::Durability::kSynced);
  ASSERT_TRUE(committed.ok()) << committed.status();
}

}  // namespace

void PutConnection(storage::Store* store, const TestConnection& connection) {
  const ConnectionKey key = {"acme", connection.parent, connection.provider};
  const int64_t expire_time =
      connection.expire_time == absl::InfiniteFuture() ? 0 : absl::ToUnixNanos(connection.expire_time);
  records::ConnectionRecord record;
  record.set_parent(connection.parent);
  record.set_id(connection.provider);
  record.set_state(connection.connect_needed ? v1::CONNECTION_STATE_CONNECT_NEEDED : v1::CONNECTION_STATE_CONNECTED);
  record.set_version(connection.version);
  record.set_expire_time(expire_time);
  record.set_refreshable(connection.refreshable);
  record.set_create_time(absl::ToUnixNanos(connection.create_time));
  record.set_update_time(absl::ToUnixNanos(connection.create_time));
  record.set_user_create_time(connection.user_create_time);
  record.set_updater("orgs/acme/users/ada");
  record.set_next_attempt_time(absl::ToUnixNanos(connection.next_attempt_time));
  records::ConnectionTokenRecord token;
  token.set_parent(connection.parent);
  token.set_id(connection.provider);
  token.set_version(connection.version);
  if (!connection.connect_needed) {
    token.set_access_token(connection.token);
    token.set_refresh_token(kTestRefreshToken);
  }
  token.set_expire_time(expire_time);
  token.set_user_create_time(connection.user_create_time);
  storage::Mutation mutation;
  Put(&mutation, ConnectionRecordKey(Table::kConnection, key), record);
  Put(&mutation, ConnectionRecordKey(Table::kConnectionToken, key), token);
  Commit(store, mutation);
}

void DeleteConnection(storage::Store* store, const std::string& parent, const std::string& provider) {
  const ConnectionKey key = {"acme", parent, provider};
  storage::Mutation mutation;
  for (const Table table : {Table::kConnection, Table::kConnectionToken}) {
    mutation.Delete(ConnectionRecordKey(table, key), std::nullopt);
  }
  Commit(store, mutation);
}

void PutProvider(storage::Store* store, const std::string& id) {
  records::OauthProviderRecord record;
  record.set_id(id);
  storage::Mutation mutation;
  Put(&mutation, ProviderKey("acme", id), record);
  Commit(store, mutation);
}

void PutLease(storage::Store* store, const std::string& parent, const std::string& provider) {
  records::ConnectionLeaseRecord record;
  record.set_owner("somebody");
  storage::Mutation mutation;
  Put(&mutation, ConnectionRecordKey(Table::kConnectionLease, {"acme", parent, provider}), record);
  Commit(store, mutation);
}

}  // namespace keyferry::server
