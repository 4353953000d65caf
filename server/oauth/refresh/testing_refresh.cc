#include "server/oauth/refresh/testing_refresh.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "keyferry/v1/audit.pb.h"
#include "keyferry/v1/connections.pb.h"
#include "server/errors.h"
#include "server/oauth/connection_records.h"
#include "server/oauth/refresh/revocations.h"
#include "server/records.h"
#include "storage/journal.h"
#include "storage/open.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Durability;
using storage::Table;

template <typename T>
T Must(absl::StatusOr<T> value) {
  if (!value.ok()) {
    std::cerr << value.status() << "\n";
    std::abort();
  }
  return *std::move(value);
}

void Must(const absl::Status& status) {
  if (status.ok()) return;
  std::cerr << status << "\n";
  std::abort();
}

}  // namespace

absl::StatusOr<storage::Revision> HookedStore::Commit(const storage::Mutation& mutation, Durability durability) {
  // A hook may put another in its place.
  const auto hook = before_commit;
  const absl::Status status = hook == nullptr ? absl::OkStatus() : hook(mutation);
  if (!status.ok()) return status;
  return store_->Commit(mutation, durability);
}

RefreshWorld::RefreshWorld(storage::EngineKind engine, std::shared_ptr<rocksdb::FileSystem> file_system)
    : engine_(engine, std::move(file_system)) {
  Open();
  Must(store->CreateKeyring("acme"));
  PutOrg("acme", v1::TIER_BUSINESS);
  PutUser("ada");
  PutUser("bob");
  PutProvider("github");
}

RefreshWorld::~RefreshWorld() {
  servers.clear();
  store.reset();
}

void RefreshWorld::Open() {
  store = std::make_unique<HookedStore>(Must(storage::OpenStoreOn(engine_.Borrow(), /*create=*/true, kek_)));
}

RefreshOptions RefreshWorld::NoThreads() {
  RefreshOptions options;
  options.threads = 0;
  return options;
}

RefreshScheduler* RefreshWorld::AddServer(RefreshOptions options) {
  RefreshScheduler::Clocks clocks;
  clocks.wall = [this] { return absl::Time(now); };
  if (options.threads == 0) clocks.monotonic = [this] { return absl::Time(monotonic); };
  clocks.random = [this] { return random; };
  servers.push_back(Must(RefreshScheduler::Start(store.get(), &client, clocks, /*logger=*/nullptr, options)));
  return servers.back().get();
}

void RefreshWorld::Crash(const std::function<void()>& closed) {
  servers.clear();
  store.reset();
  // Should its disk be dead, closing the engine does not wait for it any more.
  if (closed != nullptr) engine_.engine().Commit(storage::EngineBatch(), Durability::kSynced).status().IgnoreError();
  engine_.Reopen(closed);
  Open();
}

void RefreshWorld::Put(const storage::RecordKey& key, const google::protobuf::MessageLite& message, uint64_t version) {
  storage::Mutation mutation;
  mutation.Put(key, storage::SerializeSecret(message), version, std::nullopt);
  Must(store->Commit(mutation, Durability::kSynced).status());
}

void RefreshWorld::PutProvider(const std::string& id, const std::function<void(v1::OauthProvider*)>& edit,
                               int64_t endpoint_epoch) {
  v1::OauthProvider provider;
  provider.set_name(id);
  provider.mutable_endpoints()->set_revocation_url("https://example.com/revoke");
  provider.mutable_refresh()->set_max_per_second(1000);
  if (edit != nullptr) edit(&provider);
  records::OauthProviderRecord record;
  record.set_id(id);
  record.set_definition(provider.SerializeAsString());
  record.set_update_time(absl::ToUnixNanos(now));
  record.set_endpoint_epoch(endpoint_epoch);
  Put(ProviderKey("acme", id), record);
}

void RefreshWorld::PutOrg(const std::string& org, v1::Tier tier) {
  records::OrgRecord record;
  record.set_id(org);
  record.set_tier(tier);
  Put({Table::kOrg, "", "", org}, record);
}

void RefreshWorld::PutUser(const std::string& user, int64_t create_time) {
  records::UserRecord record;
  record.set_id(user);
  record.set_create_time(create_time);
  Put({Table::kUser, "acme", "", user}, record);
}

void RefreshWorld::DeleteUser(const std::string& user) {
  Must(storage::DeleteOne(*store, {Table::kUser, "acme", "", user}).status());
}

void RefreshWorld::Connect(const std::string& parent, const std::string& access, const std::string& refresh,
                           absl::Duration lifetime, const std::string& provider) {
  const ConnectionKey key = {"acme", parent, provider};
  const auto view = store->View();
  const auto definition = Must(ReadProvider(*view, "acme", provider));
  const auto defined = Must(ReadRecord<records::OauthProviderRecord>(*view, ProviderKey("acme", provider)));
  auto connection = Must(ReadRecord<records::ConnectionRecord>(*view, ConnectionRecordKey(Table::kConnection, key)));
  auto token =
      Must(ReadRecord<records::ConnectionTokenRecord>(*view, ConnectionRecordKey(Table::kConnectionToken, key)));
  if (!connection.has_value()) {
    connection.emplace();
    connection->record.set_parent(parent);
    connection->record.set_id(provider);
    connection->record.set_incarnation(storage::RandomString(16));
  }
  if (!token.has_value()) {
    token.emplace();
    token->record.set_parent(parent);
    token->record.set_id(provider);
  }
  if (absl::StartsWith(parent, "users/")) {
    token->record.set_user_create_time(1);
    connection->record.set_user_create_time(1);
  }
  if (absl::StartsWith(parent, "users/")) token->record.set_user_create_time(1);
  connection->record.set_endpoint_epoch(defined->record.endpoint_epoch());
  TokenResult granted = Granted(access, refresh, lifetime);
  ApplyGrant(definition->provider, absl::get<TokenGrant>(granted), now, random, &connection->record, &token->record);
  storage::Mutation mutation;
  mutation.Put(ConnectionRecordKey(Table::kConnection, key), storage::SerializeSecret(connection->record),
               connection->version + 1, connection->revision);
  mutation.Put(ConnectionRecordKey(Table::kConnectionToken, key), storage::SerializeSecret(token->record),
               static_cast<uint64_t>(token->record.version()), token->revision);
  Must(store->Commit(mutation, Durability::kSynced).status());
}

void RefreshWorld::Disconnect(const std::string& parent, const std::string& provider) {
  const ConnectionKey key = {"acme", parent, provider};
  const auto view = store->View();
  const auto connection =
      Must(ReadRecord<records::ConnectionRecord>(*view, ConnectionRecordKey(Table::kConnection, key)));
  const auto token =
      Must(ReadRecord<records::ConnectionTokenRecord>(*view, ConnectionRecordKey(Table::kConnectionToken, key)));
  const auto definition = Must(ReadRecord<records::OauthProviderRecord>(*view, ProviderKey("acme", provider)));
  storage::Mutation mutation;
  mutation.Delete(ConnectionRecordKey(Table::kConnection, key), connection->revision);
  mutation.Delete(ConnectionRecordKey(Table::kConnectionToken, key), token->revision);
  AddRevocation("acme", definition->record, connection->record, token->record, now, &mutation);
  Must(store->Commit(mutation, Durability::kSynced).status());
}

void RefreshWorld::PutUnreadable(const std::string& org) {
  Must(store->CreateKeyring(org));
  PutOrg(org, v1::TIER_BUSINESS);
  Must(
      storage::PutOne(*store, ConnectionRecordKey(Table::kConnection, {org, "", "github"}), "\xFF no record").status());
}

storage::Revision RefreshWorld::LetServersNotice() {
  Must(store->Sync());
  const storage::Revision revision = store->View()->revision();
  for (const auto& server : servers) server->AwaitRevision(revision);
  return revision;
}

void RefreshWorld::Settle() {
  storage::Revision before = 0;
  do {
    before = LetServersNotice();
    for (const auto& server : servers) server->RunDue();
    Must(store->Sync());
  } while (store->View()->revision() != before);
}

void RefreshWorld::Pass(absl::Duration by) {
  // What was committed before the time passed is noticed at the time before, from which its debounce runs.
  LetServersNotice();
  now += by;
  monotonic += by;
  Settle();
}

std::string RefreshWorld::Ask(RefreshScheduler* server, const std::string& parent, bool force,
                              const std::string& provider) {
  auto answer = std::make_shared<std::string>("waits");
  server->Refresh({"acme", parent, provider}, force, [answer](const absl::Status& status) {
    v1::ErrorDetail detail;
    *answer = absl::StatusCodeToString(status.code());
    if (GetDetail(status, &detail)) absl::StrAppend(answer.get(), " ", detail.reason());
  });
  // To the provider's next slot.
  Pass(absl::Milliseconds(1));
  return *answer;
}

records::ConnectionRecord RefreshWorld::Connection(const std::string& parent, const std::string& provider) {
  const auto found = Must(ReadRecord<records::ConnectionRecord>(
      *store->View(), ConnectionRecordKey(Table::kConnection, {"acme", parent, provider})));
  return found.has_value() ? found->record : records::ConnectionRecord();
}

std::string RefreshWorld::Words(const std::string& parent, const std::string& provider) {
  const auto view = store->View();
  const ConnectionKey key = {"acme", parent, provider};
  const auto connection =
      Must(ReadRecord<records::ConnectionRecord>(*view, ConnectionRecordKey(Table::kConnection, key)));
  const auto token =
      Must(ReadRecord<records::ConnectionTokenRecord>(*view, ConnectionRecordKey(Table::kConnectionToken, key)));
  if (!connection.has_value()) return token.has_value() ? "token without connection" : "absent";
  const records::ConnectionRecord& record = connection->record;
  EXPECT_EQ(record.version(), token->record.version());
  std::string words =
      absl::StrCat(absl::StripPrefix(v1::ConnectionState_Name(static_cast<v1::ConnectionState>(record.state())),
                                     "CONNECTION_STATE_"),
                   " v", record.version(), " ", token->record.access_token(), " ", token->record.refresh_token());
  if (record.failure_count() > 0) absl::StrAppend(&words, " failed ", record.failure_count());
  if (!record.last_error().empty()) absl::StrAppend(&words, ": ", record.last_error());
  return words;
}

bool RefreshWorld::HasLease(const std::string& parent, const std::string& provider) {
  return Must(store->View()->Contains(ConnectionRecordKey(Table::kConnectionLease, {"acme", parent, provider})));
}

std::string RefreshWorld::Revocations() {
  std::vector<std::string> all;
  for (const auto& stored :
       Must(ScanRecords<records::RevocationRecord>(*store->View(), Table::kRevocation, "acme", ""))) {
    all.push_back(absl::StrCat(stored.record.refresh_token(), "/", stored.record.access_token()));
  }
  std::sort(all.begin(), all.end());
  return absl::StrJoin(all, ";");
}

std::string RefreshWorld::Audit() {
  std::vector<std::string> lines;
  const auto damage = storage::VerifyJournal(*store->View(), "acme", [&](const storage::JournalEntry& stored) {
    v1::AuditEntry entry;
    EXPECT_TRUE(entry.ParseFromString(stored.payload));
    EXPECT_EQ(entry.credentials_size(), 1);
    lines.push_back(absl::StrCat(absl::StripPrefix(entry.method(), "keyferryd/"), " ", entry.resource(), " v",
                                 entry.credentials(0).version(), " ", entry.code(), entry.reason()));
  });
  EXPECT_TRUE(damage.ok() && !damage->has_value());
  return absl::StrJoin(lines, ";");
}

}  // namespace keyferry::server
