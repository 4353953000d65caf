#include "storage/open.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/engine/rocksdb/rocksdb_engine.h"
#include "storage/status_macros.h"
#include "storage/store_impl.h"

namespace keyferry::storage {
namespace {

// Within the data directory. The mark is written once the store is complete, so that a database directory which has
// lost its files is told apart from one that was never finished.
constexpr char kLockFile[] = "/keyferry.lock";
constexpr char kMarkFile[] = "/keyferry.store";
constexpr char kDatabase[] = "/db";

bool Exists(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0;
}

absl::Status Failed(absl::string_view what, const std::string& path) {
  const int error = errno;
  const std::string message = absl::StrCat("cannot ", what, " ", path, ": ", std::strerror(error));
  if (error == ENOSPC || error == EDQUOT) return absl::ResourceExhaustedError(message);
  if (error == EACCES || error == EPERM || error == EROFS) return absl::FailedPreconditionError(message);
  return absl::UnavailableError(message);
}

absl::Status EnsureDirectory(const OpenOptions& options) {
  const std::string& dir = options.data_dir;
  if (!Exists(dir)) {
    if (!options.create) {
      return absl::NotFoundError(absl::StrCat("there is no data directory ", dir, ": run keyferryd init to make one"));
    }
    if (mkdir(dir.c_str(), 0700) != 0) return Failed("make data directory", dir);
  }
  struct stat info;
  if (stat(dir.c_str(), &info) != 0) return Failed("examine data directory", dir);
  if (!S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(dir, " is not a directory: name one as the data directory"));
  }
  if (info.st_uid != geteuid()) {
    return absl::FailedPreconditionError(absl::StrCat("data directory ", dir, " is owned by user ", info.st_uid,
                                                      ", not by user ", geteuid(),
                                                      " who runs this: run as its owner, or change the owner"));
  }
  if ((info.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("data directory ", dir, " can be used by others: run chmod 700 ", dir));
  }
  return absl::OkStatus();
}

// Holds the lock until the last copy of the pointer is gone.
absl::StatusOr<std::shared_ptr<void>> LockDirectory(const std::string& dir) {
  const std::string path = dir + kLockFile;
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return Failed("open lock file", path);
  std::shared_ptr<void> lock(nullptr, [fd](void*) { close(fd); });
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return Failed("lock", path);
  return absl::FailedPreconditionError(
      absl::StrCat("data directory ", dir, " is in use by another process: stop it first (fuser ", path, " names it)"));
}

absl::Status WriteMark(const std::string& dir) {
  const std::string path = dir + kMarkFile;
  if (Exists(path)) return absl::OkStatus();
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return Failed("make", path);
  const std::string text = absl::StrCat("Keyferry store, format ", kFormatVersion, "\n");
  const bool written = write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(fd) == 0;
  const absl::Status status = written ? absl::OkStatus() : Failed("write", path);
  close(fd);
  if (!written) unlink(path.c_str());
  return status;
}

absl::Status SyncDirectory(const std::string& dir) {
  const int fd = open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Failed("open", dir);
  const absl::Status status = fsync(fd) == 0 ? absl::OkStatus() : Failed("sync", dir);
  close(fd);
  return status;
}

absl::StatusOr<std::unique_ptr<Engine>> OpenEngine(const OpenOptions& options) {
  const bool complete = Exists(options.data_dir + kMarkFile);
  if (!complete && !options.create && !Exists(options.data_dir + kDatabase)) {
    return absl::NotFoundError(
        absl::StrCat("there is no store in ", options.data_dir, ": run keyferryd init to make one"));
  }
  RocksDbOptions rocksdb;
  rocksdb.path = options.data_dir + kDatabase;
  // A complete store must never be made anew over what is left of its files.
  rocksdb.create = options.create && !complete;
  rocksdb.memory_budget = options.memory_budget;
  absl::StatusOr<std::unique_ptr<Engine>> engine = OpenRocksDbEngine(rocksdb);
  if (complete && absl::IsNotFound(engine.status())) {
    return absl::DataLossError(absl::StrCat("the store in ", options.data_dir,
                                            " has lost files: ", engine.status().message(), ". Restore a backup"));
  }
  return engine;
}

}  // namespace

absl::StatusOr<OpenedStore> OpenStoreWithBackups(const OpenOptions& options, const KeyProvider& key_provider) {
  RETURN_IF_ERROR(EnsureDirectory(options));
  ASSIGN_OR_RETURN(std::shared_ptr<void> lock, LockDirectory(options.data_dir));
  ASSIGN_OR_RETURN(std::unique_ptr<Engine> engine, OpenEngine(options));
  RETURN_IF_ERROR(engine->Verify());
  ASSIGN_OR_RETURN(std::unique_ptr<StoreImpl> store,
                   StoreImpl::Open(std::move(engine), options.create, key_provider, StoreTuning(), std::move(lock)));
  RETURN_IF_ERROR(WriteMark(options.data_dir));
  RETURN_IF_ERROR(SyncDirectory(options.data_dir));
  OpenedStore opened;
  opened.backups = store.get();
  opened.store = std::move(store);
  return opened;
}

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const OpenOptions& options, const KeyProvider& key_provider) {
  ASSIGN_OR_RETURN(OpenedStore opened, OpenStoreWithBackups(options, key_provider));
  return std::move(opened.store);
}

}  // namespace keyferry::storage
