#ifndef KEYFERRY_STORAGE_ROOT_KEYS_H_
#define KEYFERRY_STORAGE_ROOT_KEYS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/crypto/aead.h"
#include "storage/crypto/prf.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::storage {

// The root key and what is derived from it. It seals keyrings and seal counts, never records. Thread-safe.
class RootKeys {
 public:
  // INVALID_ARGUMENT if the key is not 32 bytes.
  static absl::StatusOr<std::unique_ptr<const RootKeys>> Make(SecretBytes root_key);

  // Where an org's entries stand.
  Prf::Tag OrgTag(absl::string_view org) const;

  // Seals an entry of the reserved spaces, bound to its engine key.
  std::string Seal(absl::string_view engine_key, const SecretBytes& plaintext) const;
  // DATA_LOSS if it does not authenticate.
  absl::StatusOr<SecretBytes> Open(absl::string_view engine_key, absl::string_view sealed) const;

  // For rewrapping under another KEK.
  const SecretBytes& root_key() const { return root_key_; }

 private:
  RootKeys(SecretBytes root_key, std::unique_ptr<const Aead> aead);

  const SecretBytes root_key_;
  const std::unique_ptr<const Aead> aead_;
  const Prf org_tag_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ROOT_KEYS_H_
