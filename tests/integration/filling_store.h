#ifndef KEYFERRY_TESTS_INTEGRATION_FILLING_STORE_H_
#define KEYFERRY_TESTS_INTEGRATION_FILLING_STORE_H_

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/store.h"

namespace keyferry::testing {

// Forwards to another store, but for writes while `full` is set.
class FillingStore : public storage::Store {
 public:
  FillingStore(std::unique_ptr<storage::Store> store, const std::atomic<bool>* full)
      : store_(std::move(store)), full_(full) {}
  std::unique_ptr<storage::StoreView> View() override { return store_->View(); }
  absl::StatusOr<storage::Revision> Commit(const storage::Mutation& mutation, storage::Durability durability) override {
    if (*full_) return Full();
    return store_->Commit(mutation, durability);
  }
  void SetJournalListener(storage::JournalListener listener) override {
    store_->SetJournalListener(std::move(listener));
  }
  absl::Status Sync() override { return *full_ ? Full() : store_->Sync(); }
  absl::Status CreateKeyring(absl::string_view org) override { return *full_ ? Full() : store_->CreateKeyring(org); }
  absl::Status DestroyOrg(absl::string_view org) override { return *full_ ? Full() : store_->DestroyOrg(org); }
  absl::StatusOr<storage::KeyringInfo> GetKeyringInfo(absl::string_view org) override {
    return store_->GetKeyringInfo(org);
  }
  absl::Status RotateDataKey(absl::string_view org) override { return *full_ ? Full() : store_->RotateDataKey(org); }
  absl::Status RotateKek(const storage::KeyProvider& next) override { return store_->RotateKek(next); }
  uint64_t Generation(storage::Table table) const override { return store_->Generation(table); }
  absl::Status WaitForPurge(absl::Duration timeout) override { return store_->WaitForPurge(timeout); }
  absl::StatusOr<std::unique_ptr<storage::EngineWatch>> Watch(
      storage::Revision after, std::function<void(const storage::StoreChange&)> on_change) override {
    return store_->Watch(after, std::move(on_change));
  }
  absl::Status Verify() override { return store_->Verify(); }
  storage::StoreStatistics Statistics() override { return store_->Statistics(); }

 private:
  static absl::Status Full() { return absl::ResourceExhaustedError("no space left on device"); }
  const std::unique_ptr<storage::Store> store_;
  const std::atomic<bool>* const full_;
};

}  // namespace keyferry::testing

#endif  // KEYFERRY_TESTS_INTEGRATION_FILLING_STORE_H_
