#ifndef KEYFERRY_STORAGE_STORE_IMPL_H_
#define KEYFERRY_STORAGE_STORE_IMPL_H_

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "storage/backup/backup_source.h"
#include "storage/commit_extension.h"
#include "storage/counters.h"
#include "storage/format.h"
#include "storage/journal_chain.h"
#include "storage/keyrings.h"
#include "storage/purger.h"
#include "storage/rewrapper.h"
#include "storage/root_keys.h"
#include "storage/store.h"
#include "storage/store_view.h"

namespace keyferry::storage {

// What tests set smaller.
struct StoreTuning {
  size_t keyring_cache = 4096;
  uint64_t seal_block = kSealBlock;
  uint64_t seal_limit = kSealLimit;
  absl::Duration purge_delay = absl::Seconds(10);
};

class StoreImpl : public Store, public BackupSource {
 public:
  // Opens the store that `engine` holds, or makes one if it is empty and `create` is set. `lock` is released when the
  // store is gone. Errors as OpenStoreOn.
  static absl::StatusOr<std::unique_ptr<StoreImpl>> Open(std::unique_ptr<Engine> engine, bool create,
                                                         const KeyProvider& key_provider, const StoreTuning& tuning,
                                                         std::shared_ptr<void> lock);

  std::unique_ptr<StoreView> View() override;
  absl::StatusOr<Revision> Commit(const Mutation& mutation, Durability durability) override;
  void SetJournalListener(JournalListener listener) override { chain_.SetListener(std::move(listener)); }
  absl::Status Sync() override;
  absl::Status CreateKeyring(absl::string_view org) override;
  absl::Status DestroyOrg(absl::string_view org) override;
  absl::StatusOr<KeyringInfo> GetKeyringInfo(absl::string_view org) override;
  absl::Status RotateDataKey(absl::string_view org) override;
  absl::Status RotateKek(const KeyProvider& next) override ABSL_LOCKS_EXCLUDED(header_mutex_);
  absl::Status CheckKek(const KeyProvider& key_provider) override;
  uint64_t Generation(Table table) const override;
  absl::StatusOr<std::unique_ptr<EngineWatch>> Watch(Revision after,
                                                     std::function<void(const StoreChange&)> on_change) override;
  absl::Status WaitForPurge(absl::Duration timeout) override;
  absl::Status Verify() override;
  absl::StatusOr<BackupView> TakeBackupView() override;
  StoreStatistics Statistics() override;

 private:
  // A mutation made ready for the engine.
  struct Plan {
    EngineBatch batch;
    std::vector<std::shared_ptr<const OrgKeys>> keyrings;
    std::unique_ptr<CommitExtension::Attachment> attachment;
  };

  StoreImpl(std::shared_ptr<void> lock, std::unique_ptr<Engine> engine, std::unique_ptr<const RootKeys> root,
            const StoreTuning& tuning);

  // Takes up what was under way when the store was last closed, and opens every keyring.
  absl::Status Resume();
  absl::StatusOr<Plan> MakePlan(const Mutation& mutation);
  absl::StatusOr<std::shared_ptr<const OrgKeys>> KeysFor(absl::string_view org, Plan& plan);
  absl::Status PlanJournals(const Mutation& mutation, Plan& plan);
  absl::StatusOr<JournalChain::Append*> JournalFor(absl::string_view org, Plan& plan);
  absl::Status VerifyJournals();
  // As Commit; also writes the heads of these orgs' journals.
  absl::StatusOr<Revision> CommitWithHeads(const Mutation& mutation, absl::Span<const std::string> orgs,
                                           Durability durability);
  // Writes those heads that buffered commits have left behind.
  absl::Status SaveJournalHeads();
  // Whether a keyring of the plan was changed by another commit.
  absl::StatusOr<bool> KeyringsChanged(const Plan& plan);
  void AfterCommit(const Mutation& mutation, Plan plan);
  // Removes the records of a destroyed org, and then its marker.
  absl::Status EraseRecords(absl::string_view org_tag);

  const std::shared_ptr<void> lock_;
  const std::unique_ptr<Engine> engine_;
  const std::unique_ptr<const RootKeys> root_;
  const StoreTuning tuning_;
  std::array<std::atomic<uint64_t>, 256> generations_{};
  RecordCounters records_;
  Counter commits_;
  Counter aborted_commits_;
  Counter failed_commits_;
  absl::Mutex header_mutex_;
  Keyrings keyrings_;
  // Everything that commits, the threads below as well, needs these.
  JournalChain chain_;
  CommitExtension extension_;
  // Takes the hook away from an engine that may outlive the store.
  class HookHold {
   public:
    HookHold(Engine* engine, CommitHook* hook) : engine_(engine) { engine_->SetCommitHook(hook); }
    ~HookHold() { engine_->SetCommitHook(nullptr); }

   private:
    Engine* const engine_;
  };
  const HookHold hook_;
  // The threads, which use all of the above. Nothing is added to the purger before it is there: only commits do that.
  Purger purger_;
  Rewrapper rewrapper_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_STORE_IMPL_H_
