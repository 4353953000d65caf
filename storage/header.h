#ifndef KEYFERRY_STORAGE_HEADER_H_
#define KEYFERRY_STORAGE_HEADER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/crypto/key_provider.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::storage {

// The store's one entry in clear (storage/FORMAT.md, "Header"):
//   "KEYFERRY" | format version (4) | store id (16) | size of the wrapped root key (2) | wrapped root key
// Format version and store id are associated data of the wrapped root key.
struct StoreHeader {
  std::string store_id;
  std::string wrapped_root_key;

  std::string Serialize() const;
  // DATA_LOSS if it is no header; FAILED_PRECONDITION if the format version is not ours.
  static absl::StatusOr<StoreHeader> Parse(absl::string_view bytes);
};

// The engine key of the header.
std::string HeaderKey();

// Wraps `root_key` for the store with `store_id`.
absl::StatusOr<StoreHeader> WrapHeader(const KeyProvider& key_provider, absl::string_view store_id,
                                       const SecretBytes& root_key);

// PERMISSION_DENIED if the provider's KEK does not open it.
absl::StatusOr<SecretBytes> UnwrapHeader(const KeyProvider& key_provider, const StoreHeader& header);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_HEADER_H_
