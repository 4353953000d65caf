// keyferryd on a store that throws the audit entries of reads away: what auditing costs is the difference to the real
// one. Serves the store that `keyferryd init` made. Flags: --data-dir --kek --cert --key --client-ca --address-file.
// Ends on SIGTERM.
#include <csignal>
#include <fstream>
#include <memory>
#include <string>
#include <utility>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "server/keyferry_server.h"
#include "server/log.h"
#include "storage/crypto/key_provider.h"
#include "storage/open.h"
#include "tests/bench/flags.h"

namespace keyferry::bench {
namespace {

class ForgettingStore : public storage::Store {
 public:
  explicit ForgettingStore(std::unique_ptr<storage::Store> store) : store_(std::move(store)) {}
  std::unique_ptr<storage::StoreView> View() override { return store_->View(); }
  absl::StatusOr<storage::Revision> Commit(const storage::Mutation& mutation, storage::Durability durability) override {
    if (mutation.changes().empty() && mutation.prunes().empty()) return storage::Revision{1};
    return store_->Commit(mutation, durability);
  }
  void SetJournalListener(storage::JournalListener listener) override {
    store_->SetJournalListener(std::move(listener));
  }
  absl::Status Sync() override { return store_->Sync(); }
  absl::Status CreateKeyring(absl::string_view org) override { return store_->CreateKeyring(org); }
  absl::Status DestroyOrg(absl::string_view org) override { return store_->DestroyOrg(org); }
  absl::StatusOr<storage::KeyringInfo> GetKeyringInfo(absl::string_view org) override {
    return store_->GetKeyringInfo(org);
  }
  absl::Status RotateDataKey(absl::string_view org) override { return store_->RotateDataKey(org); }
  absl::Status RotateKek(const storage::KeyProvider& next) override { return store_->RotateKek(next); }
  uint64_t Generation(storage::Table table) const override { return store_->Generation(table); }
  absl::Status WaitForPurge(absl::Duration timeout) override { return store_->WaitForPurge(timeout); }
  absl::StatusOr<std::unique_ptr<storage::EngineWatch>> Watch(
      storage::Revision after, std::function<void(const storage::StoreChange&)> on_change) override {
    return store_->Watch(after, std::move(on_change));
  }
  absl::Status Verify() override { return store_->Verify(); }

 private:
  const std::unique_ptr<storage::Store> store_;
};

int Fail(const absl::Status& status) {
  std::cerr << "unaudited_server: " << status.message() << "\n";
  return 1;
}

int Main(int argc, char** argv) {
  auto flags = ParseFlags(argc, argv);
  // As keyferryd does.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
  const auto key_provider = storage::LoadFileKeyProvider(flags["kek"]);
  if (!key_provider.ok()) return Fail(key_provider.status());
  storage::OpenOptions open;
  open.data_dir = flags["data-dir"];
  auto store = storage::OpenStore(open, **key_provider);
  if (!store.ok()) return Fail(store.status());
  const auto logger = server::MakeStderrLogger(server::LogLevel::kWarning);
  server::KeyferryServerOptions options;
  options.grpc.listen = "127.0.0.1:0";
  options.grpc.cert_file = flags["cert"];
  options.grpc.key_file = flags["key"];
  options.grpc.client_ca_file = flags["client-ca"];
  const auto started = server::KeyferryServer::Start(std::make_unique<ForgettingStore>(*std::move(store)), options,
                                                     absl::Now, logger.get());
  if (!started.ok()) return Fail(started.status());
  std::ofstream(flags["address-file"]) << (*started)->address();
  int signal = 0;
  sigwait(&stop, &signal);
  (*started)->Drain(absl::Seconds(1));
  return 0;
}

}  // namespace
}  // namespace keyferry::bench

int main(int argc, char** argv) { return keyferry::bench::Main(argc, argv); }
