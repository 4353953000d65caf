#include "storage/backup/testing_backup.h"

#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/crypto/key_provider.h"
#include "storage/engine/rocksdb/fault_fs.h"

namespace keyferry::storage {

BackupTest::BackupTest() {
  const std::string file = root_ + "/kek";
  if (!CreateKekFile(file).ok()) std::abort();
  kek_ = *LoadFileKeyProvider(file);
}

absl::StatusOr<OpenedStore> BackupTest::OpenDirectory(const std::string& directory, bool create) {
  OpenOptions options;
  options.data_dir = directory;
  options.create = create;
  options.memory_budget = size_t{16} << 20;
  return OpenStoreWithBackups(options, *kek_);
}

void BackupTest::Start() {
  const bool fresh = !std::filesystem::exists(data_dir_);
  auto opened = OpenDirectory(data_dir_, /*create=*/fresh);
  ASSERT_TRUE(opened.ok()) << opened.status();
  opened_ = *std::move(opened);
  if (!fresh) return;
  ASSERT_TRUE(store().CreateKeyring("acme").ok());
}

void BackupTest::Put(const std::string& name, absl::string_view value) {
  Mutation mutation;
  mutation.Put(ValueKey("acme", "", name), SecretBytes::CopyOf(value), 1, std::nullopt);
  mutation.Append("acme", absl::StrCat("put ", name));
  const auto committed = store().Commit(mutation, Durability::kSynced);
  ASSERT_TRUE(committed.ok()) << committed.status();
}

void BackupTest::PutMany(int first, int count, size_t value_bytes) {
  for (int i = first; i < first + count; ++i) Put(absl::StrCat("K", i), absl::StrCat(i, std::string(value_bytes, 'v')));
}

void BackupTest::Delete(const std::string& name) { ASSERT_TRUE(DeleteOne(store(), ValueKey("acme", "", name)).ok()); }

BackupOptions BackupTest::Options() {
  BackupOptions options;
  options.directory = backups_;
  options.data_dir = data_dir_;
  options.file_bytes = size_t{64} << 10;
  options.clock = [this] { return now_; };
  options.sleep = [this](absl::Duration duration) { now_ += duration; };
  options.gate = gate_;
  return options;
}

BackupResult BackupTest::Backup() {
  absl::StatusOr<BackupResult> result = TryBackup();
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? *std::move(result) : BackupResult();
}

absl::Status BackupTest::Check(const std::string& backup) {
  const absl::StatusOr<BackupReader> reader = BackupReader::Open(backup, *kek_);
  return reader.ok() ? reader->VerifyFiles() : reader.status();
}

std::vector<std::string> BackupTest::Backups() {
  std::vector<std::string> paths;
  const auto listed = ListBackups(backups_);
  if (!listed.ok()) return paths;
  for (const ListedBackup& backup : *listed) paths.push_back(backup.path);
  return paths;
}

RestoreOptions BackupTest::To(const std::string& backup) {
  RestoreOptions options;
  options.backup = backup;
  options.data_dir = target_;
  options.gate = gate_;
  return options;
}

absl::Status BackupTest::Restore(const std::string& backup) { return RestoreBackup(To(backup), *kek_).status(); }

std::string BackupTest::Restored(const std::string& name) {
  const auto opened = OpenDirectory(target_, /*create=*/false);
  if (!opened.ok()) return std::string(opened.status().message());
  return ReadOne(*opened->store, ValueKey("acme", "", name));
}

uint64_t BackupTest::RestoredRevision() {
  const auto opened = OpenDirectory(target_, /*create=*/false);
  return opened.ok() ? opened->store->View()->revision() : 0;
}

PrivateFiles::Gate NthFails::gate() {
  return [left = left_, code = code_, fired = fired_](absl::string_view operation, const std::string& path) mutable {
    if (left > 1) {
      --left;
      return absl::OkStatus();
    }
    *fired = true;
    return absl::Status(code, absl::StrCat("cannot ", operation, " ", path, ": made to fail"));
  };
}

std::vector<std::string> NamesIn(const std::string& directory) {
  absl::StatusOr<std::vector<std::string>> names = ListDirectory(directory);
  return names.ok() ? *std::move(names) : std::vector<std::string>();
}

bool AnyFileHolds(const std::string& directory, const std::string& bytes) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file() && absl::StrContains(ReadWholeFile(entry.path()), bytes)) return true;
  }
  return false;
}

}  // namespace keyferry::storage
