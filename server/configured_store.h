#ifndef KEYFERRY_SERVER_CONFIGURED_STORE_H_
#define KEYFERRY_SERVER_CONFIGURED_STORE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/config/config.pb.h"
#include "server/log.h"
#include "storage/crypto/key_provider.h"
#include "storage/open.h"
#include "storage/store.h"

namespace keyferry::server {

// The store and its KEK as the configuration names them.

bool IsSet(const config::KeyProvider& provider);
// The file that the provider is read from.
std::string FileOf(const config::KeyProvider& provider);
absl::StatusOr<std::unique_ptr<storage::KeyProvider>> LoadKeyProvider(const config::KeyProvider& provider);

storage::OpenOptions StoreOptions(const config::Config& config, bool create);

// Rewraps the store's root key under `next`, which alone opens the store once this has returned OK. What the KEK from
// before opens may then still be in the files, as long as a backup or another view from before stands: that it is gone
// is waited for up to `patience`, after which the log says so.
absl::Status TakeKek(storage::Store* store, const storage::KeyProvider& next, absl::Duration patience, Logger* logger);

// Opens with the key provider; where that is not the store's and a previous one is configured, opens with that and
// rewraps the store's root key.
absl::StatusOr<storage::OpenedStore> OpenConfiguredStore(const config::Config& config, bool create, Logger* logger);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_CONFIGURED_STORE_H_
