#ifndef KEYFERRY_SERVER_IDENTITY_TOKEN_TEXT_H_
#define KEYFERRY_SERVER_IDENTITY_TOKEN_TEXT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/identity/caller.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {

// The text of an API token, 54 characters:
//
//   kf_ KIND _ RANDOM CHECKSUM
//
//   KIND      u (user), s (service) or w (workload)
//   RANDOM    43 characters: 32 random bytes as a number in base 62, most significant digit first
//   CHECKSUM  6 characters: CRC-32 (IEEE 802.3) of all characters before it, in base 62
//
// The digits of base 62 are 0-9, A-Z, a-z. For secret scanners: \bkf_[usw]_[0-9A-Za-z]{49}\b
storage::SecretBytes MakeTokenText(PrincipalKind kind);

// Whether the text has the form and its checksum holds. A mistyped character never passes; what passes need not exist.
bool IsTokenText(absl::string_view text);

// SHA-256 of the text, 32 bytes. Tokens hold 256 random bits, so the hash needs neither salt nor stretching.
std::string HashTokenText(absl::string_view text);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_TOKEN_TEXT_H_
