#ifndef KEYFERRY_STORAGE_OPEN_H_
#define KEYFERRY_STORAGE_OPEN_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/backup/backup_source.h"
#include "storage/crypto/key_provider.h"
#include "storage/store.h"

namespace keyferry::storage {

struct OpenOptions {
  // Directory of the store; made with mode 0700 if it does not exist and `create` is set.
  std::string data_dir;
  // Makes a new store if the directory holds none. Without it a missing store is NOT_FOUND.
  bool create = false;
  // Bytes of RocksDB's block cache and of its memtables together.
  size_t memory_budget = size_t{192} << 20;
};

// Opens the encrypted store on RocksDB and verifies what can be verified: directory and owner, lock, format version,
// KEK, root key, every org's keyring, and the checksum of every block of every file.
//
// Each error says what is wrong and what to do: FAILED_PRECONDITION (directory readable by others, in use by another
// process, unknown format version), PERMISSION_DENIED (wrong KEK), DATA_LOSS (a file is missing, truncated or changed),
// NOT_FOUND (no store there), RESOURCE_EXHAUSTED (disk full), UNAVAILABLE (I/O).
absl::StatusOr<std::unique_ptr<Store>> OpenStore(const OpenOptions& options, const KeyProvider& key_provider);

// A store, and what backups of it are made from: the same object, there as long as `store` is.
struct OpenedStore {
  std::unique_ptr<Store> store;
  BackupSource* backups = nullptr;
};
absl::StatusOr<OpenedStore> OpenStoreWithBackups(const OpenOptions& options, const KeyProvider& key_provider);

// The same store over any engine; `engine` must be empty or hold a store. For tests and other engines.
absl::StatusOr<std::unique_ptr<Store>> OpenStoreOn(std::unique_ptr<Engine> engine, bool create,
                                                   const KeyProvider& key_provider);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_OPEN_H_
