#ifndef KEYFERRY_SERVER_WATCH_FINGERPRINT_H_
#define KEYFERRY_SERVER_WATCH_FINGERPRINT_H_

#include <array>
#include <cstdint>

#include "keyferry/v1/errors.pb.h"
#include "keyferry/v1/resolution.pb.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {

// Tells whether two answers are the same to their receiver, without keeping any value: HMAC-SHA-256 of the variables
// (name, value, credential, version, scope) and of those without a value, under a random key of this process.
class Fingerprinter {
 public:
  using Fingerprint = std::array<uint8_t, 32>;

  Fingerprinter();

  Fingerprint Of(const v1::ResolveResponse& environment) const;
  Fingerprint Of(const v1::ErrorDetail& problem) const;

 private:
  storage::SecretBytes key_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_WATCH_FINGERPRINT_H_
