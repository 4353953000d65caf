#ifndef KEYFERRY_STORAGE_CRYPTO_KEYRING_H_
#define KEYFERRY_STORAGE_CRYPTO_KEYRING_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::storage {

// One data key of an org. Ids count from 1 and are never used twice.
struct DataKey {
  uint32_t id = 0;
  SecretBytes key;
};

// The keys of one org, as they are sealed under the root key. The last data key is the current one. Not thread-safe.
struct Keyring {
  std::string org;
  SecretBytes prf_key;
  std::vector<DataKey> data_keys;

  // A PRF key and data key 1, at random.
  static Keyring Generate(absl::string_view org);
  // DATA_LOSS if the bytes are not a keyring.
  static absl::StatusOr<Keyring> Parse(absl::string_view bytes);
  SecretBytes Serialize() const;
  Keyring Clone() const;

  uint32_t current_id() const { return data_keys.back().id; }
  // Adds a random data key and makes it the current one.
  void AddDataKey();
  // Leaves only the current data key.
  void DropOldDataKeys();
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_CRYPTO_KEYRING_H_
