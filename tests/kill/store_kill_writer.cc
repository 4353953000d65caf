// Writes to a store without end, announcing each write on standard output before it starts and after it was
// acknowledged. Started, and killed, by store_kill_test.
//
// Usage: store_kill_writer DIRECTORY KEK_NUMBER SEED

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "storage/crypto/key_provider.h"
#include "storage/open.h"
#include "storage/store.h"
#include "tests/kill/model.h"
#include "tests/kill/store_layout.h"

namespace keyferry::testing {
namespace {

using storage::Record;
using storage::SecretBytes;
using storage::Table;

[[noreturn]] void Die(const std::string& what, const absl::Status& status) {
  fprintf(stderr, "store_kill_writer: %s: %s\n", what.c_str(), status.ToString().c_str());
  exit(1);
}

// One write call, so that a line is in the pipe whole or not at all.
void Print(const std::string& line) {
  if (write(STDOUT_FILENO, line.data(), line.size()) != static_cast<ssize_t>(line.size())) exit(1);
}

class Worker {
 public:
  Worker(storage::Store& store, int number, uint64_t seed) : store_(store), number_(number), random_(seed + number) {}

  [[noreturn]] void Run() {
    while (true) WriteOne(KillName(number_, static_cast<int>(random_() % kNamesPerWorker)));
  }

 private:
  std::optional<Record> Get(const storage::StoreView& view, Table table, const std::string& name) {
    absl::StatusOr<std::optional<Record>> record = view.Get(KillKey(table, name));
    if (!record.ok()) Die("read", record.status());
    return *std::move(record);
  }

  void WriteOne(const std::string& name) {
    const std::unique_ptr<storage::StoreView> view = store_.View();
    const std::optional<Record> metadata = Get(*view, Table::kCredential, name);
    const std::optional<Record> value = Get(*view, Table::kCredentialValue, name);
    storage::Mutation mutation;
    Step step = {number_, name, std::nullopt};
    if (metadata.has_value() && random_() % 4 == 0) {
      Remove(name, *metadata, mutation);
    } else {
      step.after = CredentialState{metadata.has_value() ? static_cast<int64_t>(metadata->version) + 1 : 1, random_()};
      Store(name, *step.after, metadata, value, mutation);
    }
    Print(IntentLine(step));
    const absl::Status status = store_.Commit(mutation, storage::Durability::kSynced).status();
    // The background rewrap after a data key rotation writes the same records.
    if (!status.ok() && !absl::IsAborted(status)) Die("commit", status);
    Print(status.ok() ? AckLine(number_) : RefusedLine(number_));
  }

  void Remove(const std::string& name, const Record& metadata, storage::Mutation& mutation) {
    mutation.Delete(KillKey(Table::kCredential, name), metadata.revision);
    mutation.Delete(KillKey(Table::kCredentialValue, name), std::nullopt);
    mutation.Delete(KillKey(Table::kPreviousValue, name), std::nullopt);
  }

  void Store(const std::string& name, const CredentialState& state, const std::optional<Record>& metadata,
             const std::optional<Record>& value, storage::Mutation& mutation) {
    const std::string text = ValueText(name, state);
    const uint64_t version = static_cast<uint64_t>(state.version);
    mutation.Put(KillKey(Table::kCredential, name), SecretBytes::CopyOf(std::to_string(state.nonce)), version,
                 metadata.has_value() ? metadata->revision : 0);
    mutation.Put(KillKey(Table::kCredentialValue, name), SecretBytes::CopyOf(text), version, std::nullopt);
    if (value.has_value()) {
      mutation.Put(KillKey(Table::kPreviousValue, name), value->payload.Clone(), value->version, std::nullopt);
    }
  }

  storage::Store& store_;
  const int number_;
  std::mt19937_64 random_;
};

// Rotates data keys and, now and then, the key-encryption key.
class KeyRotator {
 public:
  KeyRotator(storage::Store& store, std::string directory, int64_t kek, uint64_t seed)
      : store_(store), directory_(std::move(directory)), kek_(kek), random_(seed ^ 0x5bd1e995) {}

  [[noreturn]] void Run() {
    while (true) {
      std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 60));
      if (random_() % 2 == 0) {
        RotateKek();
      } else if (const absl::Status status = store_.RotateDataKey(kKillOrg); !status.ok()) {
        Die("data key rotation", status);
      }
    }
  }

 private:
  void RotateKek() {
    const int64_t next = kek_ == 1 ? 2 : 1;
    absl::StatusOr<std::unique_ptr<storage::KeyProvider>> provider =
        storage::LoadFileKeyProvider(KekPath(directory_, next));
    if (!provider.ok()) Die("KEK", provider.status());
    Print(IntentLine({kWorkers, "kek", CredentialState{next, 0}}));
    const absl::Status status = store_.RotateKek(**provider);
    if (!status.ok()) Die("KEK rotation", status);
    Print(AckLine(kWorkers));
    kek_ = next;
  }

  storage::Store& store_;
  const std::string directory_;
  int64_t kek_;
  std::mt19937_64 random_;
};

int Main(const std::string& directory, int64_t kek, uint64_t seed) {
  absl::StatusOr<std::unique_ptr<storage::KeyProvider>> provider =
      storage::LoadFileKeyProvider(KekPath(directory, kek));
  if (!provider.ok()) Die("KEK", provider.status());
  storage::OpenOptions options;
  options.data_dir = directory + "/store";
  absl::StatusOr<std::unique_ptr<storage::Store>> store = storage::OpenStore(options, **provider);
  if (!store.ok()) Die("open", store.status());
  Print("R\n");
  std::vector<std::thread> threads;
  for (int worker = 0; worker < kWorkers; ++worker) {
    threads.emplace_back([&, worker] { Worker(**store, worker, seed).Run(); });
  }
  threads.emplace_back([&] { KeyRotator(**store, directory, kek, seed).Run(); });
  for (std::thread& thread : threads) thread.join();
  return 0;
}

}  // namespace
}  // namespace keyferry::testing

int main(int argc, char** argv) {
  if (argc != 4) return 64;
  return keyferry::testing::Main(argv[1], strtoll(argv[2], nullptr, 10), strtoull(argv[3], nullptr, 10));
}
