#ifndef KEYFERRY_STORAGE_CRYPTO_SHA256_STREAM_H_
#define KEYFERRY_STORAGE_CRYPTO_SHA256_STREAM_H_

#include "absl/strings/string_view.h"
#include "openssl/sha.h"
#include "storage/crypto/sha256.h"

namespace keyferry::storage {

// SHA-256 (FIPS 180-4) of bytes that arrive one after the other. Not thread-safe.
class Sha256Stream {
 public:
  Sha256Stream();

  void Update(absl::string_view bytes);
  // The digest of everything so far; call once, last.
  Sha256Digest Finish();

 private:
  SHA256_CTX context_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_CRYPTO_SHA256_STREAM_H_
