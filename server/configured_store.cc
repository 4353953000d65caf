#include "server/configured_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/files.h"
#include "server/status_macros.h"
#include "storage/crypto/secret_bytes.h"
#include "storage/crypto/secret_file.h"

namespace keyferry::server {
namespace {

absl::Status CheckPassphraseFile(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) {
    const std::string message = absl::StrCat("cannot open passphrase file ", path, ": ", std::strerror(errno));
    return errno == ENOENT ? absl::NotFoundError(message) : absl::FailedPreconditionError(message);
  }
  return storage::CheckSecretFile(info, geteuid(), "passphrase file", path);
}

}  // namespace

bool IsSet(const config::KeyProvider& provider) { return !FileOf(provider).empty(); }

std::string FileOf(const config::KeyProvider& provider) {
  return provider.file().empty() ? provider.passphrase_file() : provider.file();
}

absl::StatusOr<std::unique_ptr<storage::KeyProvider>> LoadKeyProvider(const config::KeyProvider& provider) {
  if (!provider.file().empty()) return storage::LoadFileKeyProvider(provider.file());
  RETURN_IF_ERROR(CheckPassphraseFile(provider.passphrase_file()));
  ASSIGN_OR_RETURN(storage::SecretBytes passphrase, ReadSmallFile(provider.passphrase_file()));
  if (!passphrase.empty() && passphrase.Expose().back() == '\n') passphrase.Truncate(passphrase.size() - 1);
  return storage::MakePassphraseKeyProvider(std::move(passphrase));
}

storage::OpenOptions StoreOptions(const config::Config& config, bool create) {
  storage::OpenOptions options;
  options.data_dir = config.data_dir();
  options.create = create;
  options.memory_budget = static_cast<size_t>(config.limits().memory_budget_mib()) << 20;
  return options;
}

absl::Status TakeKek(storage::Store* store, const storage::KeyProvider& next, absl::Duration patience, Logger* logger) {
  RETURN_IF_ERROR(store->RotateKek(next));
  logger->Write(LogLevel::kInfo, "root key rewrapped", {{"key_provider", next.Description()}});
  const absl::Status purged = store->WaitForPurge(patience);
  if (purged.ok()) return absl::OkStatus();
  // No error, which would read as if the new KEK were not needed.
  logger->Write(LogLevel::kWarning,
                "what the KEK from before opens is still being purged from the store's files; keep that KEK secret "
                "until keyferry_store_purges_pending is 0",
                {{"problem", purged.message()}});
  return absl::OkStatus();
}

absl::StatusOr<storage::OpenedStore> OpenConfiguredStore(const config::Config& config, bool create, Logger* logger) {
  ASSIGN_OR_RETURN(const auto current, LoadKeyProvider(config.key_provider()));
  auto store = storage::OpenStoreWithBackups(StoreOptions(config, create), *current);
  if (!absl::IsPermissionDenied(store.status()) || !IsSet(config.previous_key_provider())) return store;
  ASSIGN_OR_RETURN(const auto previous, LoadKeyProvider(config.previous_key_provider()));
  ASSIGN_OR_RETURN(auto rewrapped, storage::OpenStoreWithBackups(StoreOptions(config, /*create=*/false), *previous));
  RETURN_IF_ERROR(TakeKek(rewrapped.store.get(), *current, storage::PurgeBound(), logger));
  return rewrapped;
}

}  // namespace keyferry::server
