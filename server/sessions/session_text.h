#ifndef KEYFERRY_SERVER_SESSIONS_SESSION_TEXT_H_
#define KEYFERRY_SERVER_SESSIONS_SESSION_TEXT_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "keyferry/v1/sessions.pb.h"
#include "storage/crypto/ed25519.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {

// The text of a session's token:
//
//   kfs_ PAYLOAD . SIGNATURE
//
//   PAYLOAD    a serialized keyferry.v1.SessionTokenPayload, base64url without padding
//   SIGNATURE  Ed25519 over kSessionSignaturePrefix and the payload's bytes, base64url without padding
//
// For secret scanners: \bkfs_[0-9A-Za-z_-]{20,}\.[0-9A-Za-z_-]{86}\b

// Nothing else that these keys may ever sign starts with this.
inline constexpr absl::string_view kSessionSignaturePrefix = "keyferry session v1:";

// No token is longer.
inline constexpr size_t kMaxSessionTextBytes = 512;

// A token that has the form; whether the signature holds is not known yet.
struct SessionToken {
  v1::SessionTokenPayload payload;
  std::string payload_bytes;
  storage::SecretBytes signature;

  bool IsSignedBy(absl::string_view public_key) const;
};

// The payload must be one that ParseSessionText takes.
storage::SecretBytes MakeSessionText(const v1::SessionTokenPayload& payload, const storage::Ed25519Signer& signer);

// Takes exactly what MakeSessionText makes, in its one spelling: every other encoding of the same payload, unknown
// fields and every change of the text's length are refused. nullopt if the form is wrong.
std::optional<SessionToken> ParseSessionText(absl::string_view text);

// 32 lower-case hex digits: 128 random bits.
std::string NewSessionId();
bool IsSessionId(absl::string_view id);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_SESSIONS_SESSION_TEXT_H_
