#ifndef KEYFERRY_STORAGE_BACKUP_TESTING_BACKUP_H_
#define KEYFERRY_STORAGE_BACKUP_TESTING_BACKUP_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "storage/backup/backup_reader.h"
#include "storage/backup/backup_writer.h"
#include "storage/backup/restore.h"
#include "storage/open.h"
#include "storage/testing_store.h"

namespace keyferry::storage {

// Testonly. A store on RocksDB with the organization "acme", a directory for its backups, and one to restore to. Time
// stands still unless it is set or slept.
class BackupTest : public testing::Test {
 protected:
  BackupTest();

  // The store.
  void Start();
  void Stop() { opened_.store.reset(); }
  void Put(const std::string& name, absl::string_view value);
  void PutMany(int first, int count, size_t value_bytes);
  void Delete(const std::string& name);
  Store& store() { return *opened_.store; }
  BackupSource* store_backups() { return opened_.backups; }

  // Small files, so that a backup has several.
  BackupOptions Options();
  absl::StatusOr<BackupResult> TryBackup() { return WriteBackup(*opened_.backups, Options()); }
  BackupResult Backup();
  // Checks manifest and files.
  absl::Status Check(const std::string& backup);
  // The complete backups that are there.
  std::vector<std::string> Backups();

  RestoreOptions To(const std::string& backup);
  absl::Status Restore(const std::string& backup);
  // What the restored store answers.
  std::string Restored(const std::string& name);
  uint64_t RestoredRevision();

  const std::string root_ = MakeTestDirectory();
  const std::string data_dir_ = root_ + "/data";
  const std::string backups_ = root_ + "/backups";
  const std::string target_ = root_ + "/restored";
  std::unique_ptr<KeyProvider> kek_;
  absl::Time now_ = absl::FromUnixSeconds(1800000000);
  PrivateFiles::Gate gate_;

 private:
  absl::StatusOr<OpenedStore> OpenDirectory(const std::string& directory, bool create);

  OpenedStore opened_;
};

// Fails the n-th operation that it is asked about, and all later ones as a dead process would.
class NthFails {
 public:
  explicit NthFails(int n, absl::StatusCode code = absl::StatusCode::kUnavailable) : left_(n), code_(code) {}
  PrivateFiles::Gate gate();
  bool fired() const { return *fired_; }

 private:
  int left_;
  const absl::StatusCode code_;
  std::shared_ptr<bool> fired_ = std::make_shared<bool>(false);
};

std::vector<std::string> NamesIn(const std::string& directory);

// Whether a file below the directory holds these bytes.
bool AnyFileHolds(const std::string& directory, const std::string& bytes);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_BACKUP_TESTING_BACKUP_H_
