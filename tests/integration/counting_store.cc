#include "tests/integration/counting_store.h"

#include <pthread.h>

#include <utility>

#include "absl/strings/match.h"

namespace keyferry::testing {
namespace {

using storage::Record;
using storage::RecordKey;
using storage::Revision;
using storage::Table;

// What refreshes do on their own threads belongs to no call.
void Count(std::atomic<int64_t>* reads) {
  char name[16] = "";
  pthread_getname_np(pthread_self(), name, sizeof(name));
  if (!absl::StartsWith(name, "oauth-")) ++*reads;
}

class CountingView : public storage::StoreView {
 public:
  CountingView(std::unique_ptr<storage::StoreView> view, std::atomic<int64_t>* reads)
      : view_(std::move(view)), reads_(reads) {}

  Revision revision() const override { return view_->revision(); }
  absl::StatusOr<std::optional<Record>> Get(const RecordKey& key) const override {
    Count(reads_);
    return view_->Get(key);
  }
  absl::StatusOr<storage::WatchKey> WatchKeyOf(const RecordKey& key) const override { return view_->WatchKeyOf(key); }
  absl::StatusOr<std::string> PublicId(absl::string_view org, absl::string_view name) const override {
    return view_->PublicId(org, name);
  }
  absl::StatusOr<bool> Contains(const RecordKey& key) const override {
    Count(reads_);
    return view_->Contains(key);
  }
  absl::Status Scan(Table table, absl::string_view org, absl::string_view parent,
                    const std::function<bool(Record)>& visit) const override {
    Count(reads_);
    return view_->Scan(table, org, parent, visit);
  }
  absl::Status ScanAll(Table table, absl::string_view org, const std::function<bool(Record)>& visit) const override {
    Count(reads_);
    return view_->ScanAll(table, org, visit);
  }

 private:
  const std::unique_ptr<storage::StoreView> view_;
  std::atomic<int64_t>* const reads_;
};

class CountingStore : public storage::Store {
 public:
  CountingStore(std::unique_ptr<storage::Store> store, std::atomic<int64_t>* reads)
      : store_(std::move(store)), reads_(reads) {}

  std::unique_ptr<storage::StoreView> View() override {
    Count(reads_);
    return std::make_unique<CountingView>(store_->View(), reads_);
  }
  absl::StatusOr<Revision> Commit(const storage::Mutation& mutation, storage::Durability durability) override {
    return store_->Commit(mutation, durability);
  }
  absl::StatusOr<std::unique_ptr<storage::EngineWatch>> Watch(
      Revision after, std::function<void(const storage::StoreChange&)> on_change) override {
    return store_->Watch(after, std::move(on_change));
  }
  void SetJournalListener(storage::JournalListener listener) override {
    store_->SetJournalListener(std::move(listener));
  }
  absl::Status Sync() override { return store_->Sync(); }
  absl::Status CreateKeyring(absl::string_view org) override { return store_->CreateKeyring(org); }
  absl::Status DestroyOrg(absl::string_view org) override { return store_->DestroyOrg(org); }
  absl::StatusOr<storage::KeyringInfo> GetKeyringInfo(absl::string_view org) override {
    Count(reads_);
    return store_->GetKeyringInfo(org);
  }
  absl::Status RotateDataKey(absl::string_view org) override { return store_->RotateDataKey(org); }
  absl::Status RotateKek(const storage::KeyProvider& next) override { return store_->RotateKek(next); }
  uint64_t Generation(Table table) const override { return store_->Generation(table); }
  absl::Status WaitForPurge(absl::Duration timeout) override { return store_->WaitForPurge(timeout); }
  absl::Status Verify() override { return store_->Verify(); }

 private:
  const std::unique_ptr<storage::Store> store_;
  std::atomic<int64_t>* const reads_;
};

}  // namespace

std::unique_ptr<storage::Store> MakeCountingStore(std::unique_ptr<storage::Store> store, std::atomic<int64_t>* reads) {
  return std::make_unique<CountingStore>(std::move(store), reads);
}

}  // namespace keyferry::testing
