#ifndef KEYFERRY_SERVER_OAUTH_REFRESH_TESTING_REFRESH_H_
#define KEYFERRY_SERVER_OAUTH_REFRESH_TESTING_REFRESH_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "keyferry/v1/directory.pb.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/oauth/refresh/refresh_scheduler.h"
#include "server/oauth/refresh/testing_token_client.h"
#include "storage/crypto/testing_key_provider.h"
#include "storage/store.h"
#include "storage/testing_store.h"

namespace keyferry::server {

// Testonly. The store with a hook before each commit, which may let it fail.
class HookedStore : public storage::Store {
 public:
  explicit HookedStore(std::unique_ptr<storage::Store> store) : store_(std::move(store)) {}

  std::function<absl::Status(const storage::Mutation&)> before_commit;

  std::unique_ptr<storage::StoreView> View() override { return store_->View(); }
  absl::StatusOr<storage::Revision> Commit(const storage::Mutation& mutation, storage::Durability durability) override;
  void SetJournalListener(storage::JournalListener listener) override { store_->SetJournalListener(listener); }
  absl::Status Sync() override { return store_->Sync(); }
  absl::Status CreateKeyring(absl::string_view org) override { return store_->CreateKeyring(org); }
  absl::Status DestroyOrg(absl::string_view org) override { return store_->DestroyOrg(org); }
  absl::StatusOr<storage::KeyringInfo> GetKeyringInfo(absl::string_view org) override {
    return store_->GetKeyringInfo(org);
  }
  absl::Status RotateDataKey(absl::string_view org) override { return store_->RotateDataKey(org); }
  absl::Status RotateKek(const storage::KeyProvider& next) override { return store_->RotateKek(next); }
  uint64_t Generation(storage::Table table) const override { return store_->Generation(table); }
  absl::StatusOr<std::unique_ptr<storage::EngineWatch>> Watch(
      storage::Revision after, std::function<void(const storage::StoreChange&)> on_change) override {
    return store_->Watch(after, std::move(on_change));
  }
  absl::Status WaitForPurge(absl::Duration timeout) override { return store_->WaitForPurge(timeout); }
  absl::Status Verify() override { return store_->Verify(); }

 private:
  const std::unique_ptr<storage::Store> store_;
};

// Testonly. A time that is read while it is moved.
class MovingTime {
 public:
  explicit MovingTime(absl::Time time) : nanos_(absl::ToUnixNanos(time)) {}
  operator absl::Time() const { return absl::FromUnixNanos(nanos_); }
  void operator+=(absl::Duration by) { nanos_ += absl::ToInt64Nanoseconds(by); }
  void operator-=(absl::Duration by) { nanos_ -= absl::ToInt64Nanoseconds(by); }

 private:
  std::atomic<int64_t> nanos_;
};

// Testonly. The real store with the org "acme" (tier BUSINESS), its users "ada" and "bob", its team "eng" and its
// provider "github"; clocks that tests move; and servers that refresh its connections, without threads.
class RefreshWorld {
 public:
  // `file_system`: below the engine, if that is RocksDB.
  explicit RefreshWorld(storage::EngineKind engine = storage::EngineKind::kMemory,
                        std::shared_ptr<rocksdb::FileSystem> file_system = nullptr);
  ~RefreshWorld();

  static RefreshOptions NoThreads();
  // Another server over the store. One with threads counts by the machine's monotonic clock.
  RefreshScheduler* AddServer(RefreshOptions options = NoThreads());
  // kill -9 of all servers; the store is opened again. `closed` runs while nothing is open.
  void Crash(const std::function<void()>& closed = nullptr);

  void PutProvider(const std::string& id, const std::function<void(v1::OauthProvider*)>& edit = nullptr,
                   int64_t endpoint_epoch = 0);
  void PutOrg(const std::string& org, v1::Tier tier);
  void PutUser(const std::string& user, int64_t create_time = 1);
  void DeleteUser(const std::string& user);
  // Connects, or connects again, as if a provider had just granted.
  void Connect(const std::string& parent, const std::string& access, const std::string& refresh,
               absl::Duration lifetime = absl::Hours(1), const std::string& provider = "github");
  // What DeleteConnection does.
  void Disconnect(const std::string& parent, const std::string& provider = "github");

  // Lets every server notice every commit, and do what is due.
  void Settle();
  void Pass(absl::Duration by);
  // Asks the server and settles; what it answers, "OK" or "UNAVAILABLE PROVIDER_UNAVAILABLE". "waits" if it does not.
  std::string Ask(RefreshScheduler* server, const std::string& parent, bool force = false,
                  const std::string& provider = "github");

  // A connection of another organization, which is made with all that it needs, that cannot be read.
  void PutUnreadable(const std::string& org);
  // "CONNECTED v2 a2 r2", with " failed 3: the error" or "; the error" after it; "absent".
  std::string Words(const std::string& parent, const std::string& provider = "github");
  storage::records::ConnectionRecord Connection(const std::string& parent, const std::string& provider = "github");
  bool HasLease(const std::string& parent, const std::string& provider = "github");
  // Tokens that are to be revoked, "r1/a1", sorted and joined by ";".
  std::string Revocations();
  // "RefreshConnection orgs/acme/users/ada/connections/github v2 0", joined by ";", of the whole journal.
  std::string Audit();

  MovingTime now{absl::FromUnixSeconds(1800000000)};
  MovingTime monotonic{absl::UnixEpoch() + absl::Hours(1)};
  double random = 0;
  ScriptedTokenClient client;
  std::unique_ptr<HookedStore> store;
  std::vector<std::unique_ptr<RefreshScheduler>> servers;

 private:
  void Open();
  storage::Revision LetServersNotice();
  void Put(const storage::RecordKey& key, const google::protobuf::MessageLite& message, uint64_t version = 1);

  storage::FakeKeyProvider kek_{1};
  storage::TestEngine engine_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_REFRESH_TESTING_REFRESH_H_
