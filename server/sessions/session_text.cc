#include "server/sessions/session_text.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/names.h"

namespace keyferry::server {
namespace {

constexpr absl::string_view kPrefix = "kfs_";
constexpr int32_t kVersion = 1;
constexpr size_t kSessionIdBytes = 16;
// Both as far as a time in nanoseconds of 64 bits goes.
constexpr int64_t kMaxSeconds = int64_t{9223372036};

std::string Signed(absl::string_view payload_bytes) { return absl::StrCat(kSessionSignaturePrefix, payload_bytes); }

// Takes the one base64url text of some bytes: no padding, no spaces, no stray bits.
bool Decode(absl::string_view text, std::string* bytes) {
  if (!absl::WebSafeBase64Unescape(text, bytes)) return false;
  std::string again = absl::WebSafeBase64Escape(*bytes);
  const bool same = again == text;
  storage::WipeString(again);
  return same;
}

bool IsPayload(const v1::SessionTokenPayload& payload) {
  return payload.version() == kVersion && CheckId(payload.org(), "org").ok() && IsSessionId(payload.session()) &&
         payload.key_id() > 0 && payload.expire_time_seconds() > 0 && payload.expire_time_seconds() <= kMaxSeconds;
}

}  // namespace

bool SessionToken::IsSignedBy(absl::string_view public_key) const {
  return storage::Ed25519Verify(public_key, Signed(payload_bytes), signature.Expose());
}

storage::SecretBytes MakeSessionText(const v1::SessionTokenPayload& payload, const storage::Ed25519Signer& signer) {
  const std::string bytes = payload.SerializeAsString();
  std::string text = absl::StrCat(kPrefix, absl::WebSafeBase64Escape(bytes), ".");
  std::string signature = signer.Sign(Signed(bytes));
  std::string encoded = absl::WebSafeBase64Escape(signature);
  text.reserve(kMaxSessionTextBytes);
  text += encoded;
  storage::WipeString(signature);
  storage::WipeString(encoded);
  return storage::SecretBytes::TakeFrom(text);
}

std::optional<SessionToken> ParseSessionText(absl::string_view text) {
  if (text.size() > kMaxSessionTextBytes || !absl::ConsumePrefix(&text, kPrefix)) return std::nullopt;
  const size_t dot = text.find('.');
  if (dot == absl::string_view::npos) return std::nullopt;
  SessionToken token;
  std::string signature;
  const bool decoded = Decode(text.substr(0, dot), &token.payload_bytes) && Decode(text.substr(dot + 1), &signature);
  token.signature = storage::SecretBytes::TakeFrom(signature);
  if (!decoded || token.signature.size() != storage::Ed25519Signer::kSignatureSize ||
      !token.payload.ParseFromString(token.payload_bytes)) {
    return std::nullopt;
  }
  token.payload.DiscardUnknownFields();
  if (token.payload.SerializeAsString() != token.payload_bytes || !IsPayload(token.payload)) return std::nullopt;
  return token;
}

std::string NewSessionId() { return absl::BytesToHexString(storage::RandomString(kSessionIdBytes)); }

bool IsSessionId(absl::string_view id) {
  return id.size() == 2 * kSessionIdBytes &&
         std::all_of(id.begin(), id.end(), [](char c) { return absl::ascii_isdigit(c) || (c >= 'a' && c <= 'f'); });
}

}  // namespace keyferry::server
