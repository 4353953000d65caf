#include "server/identity/token_text.h"

#include <zlib.h>

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "openssl/mem.h"
#include "openssl/sha.h"

namespace keyferry::server {
namespace {

constexpr char kDigits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
constexpr absl::string_view kPrefix = "kf_";
constexpr size_t kHeadSize = 5;
constexpr size_t kRandomBytes = 32;
constexpr size_t kRandomDigits = 43;
constexpr size_t kChecksumDigits = 6;
constexpr size_t kTextSize = kHeadSize + kRandomDigits + kChecksumDigits;

char KindLetter(PrincipalKind kind) {
  switch (kind) {
    case PrincipalKind::kUser:
      return 'u';
    case PrincipalKind::kService:
      return 's';
    case PrincipalKind::kWorkload:
      break;
  }
  return 'w';
}

// Writes the number in `bytes` (big-endian; destroyed) as `size` digits.
void WriteBase62(absl::Span<uint8_t> bytes, uint8_t* out, size_t size) {
  for (size_t i = size; i-- > 0;) {
    unsigned remainder = 0;
    for (uint8_t& byte : bytes) {
      const unsigned value = remainder << 8 | byte;
      byte = static_cast<uint8_t>(value / 62);
      remainder = value % 62;
    }
    out[i] = static_cast<uint8_t>(kDigits[remainder]);
  }
}

void WriteChecksum(absl::string_view text, uint8_t* out) {
  const uint32_t crc =
      static_cast<uint32_t>(crc32(0, reinterpret_cast<const Bytef*>(text.data()), static_cast<uInt>(text.size())));
  std::array<uint8_t, 4> bytes = {static_cast<uint8_t>(crc >> 24), static_cast<uint8_t>(crc >> 16),
                                  static_cast<uint8_t>(crc >> 8), static_cast<uint8_t>(crc)};
  WriteBase62(absl::MakeSpan(bytes), out, kChecksumDigits);
}

}  // namespace

storage::SecretBytes MakeTokenText(PrincipalKind kind) {
  storage::SecretBytes number(kRandomBytes);
  storage::RandomBytes(number.ExposeMutable());
  storage::SecretBytes text(kTextSize);
  uint8_t* out = text.ExposeMutable().data();
  std::copy(kPrefix.begin(), kPrefix.end(), out);
  out[kPrefix.size()] = static_cast<uint8_t>(KindLetter(kind));
  out[kPrefix.size() + 1] = '_';
  WriteBase62(number.ExposeMutable(), out + kHeadSize, kRandomDigits);
  WriteChecksum(text.Expose().substr(0, kTextSize - kChecksumDigits), out + kTextSize - kChecksumDigits);
  return text;
}

bool IsTokenText(absl::string_view text) {
  if (text.size() != kTextSize || !absl::StartsWith(text, kPrefix) || text[4] != '_') return false;
  if (text[3] != 'u' && text[3] != 's' && text[3] != 'w') return false;
  if (!std::all_of(text.begin() + kHeadSize, text.end(), [](char c) { return absl::ascii_isalnum(c); })) return false;
  std::array<uint8_t, kChecksumDigits> expected;
  WriteChecksum(text.substr(0, kTextSize - kChecksumDigits), expected.data());
  return CRYPTO_memcmp(expected.data(), text.data() + kTextSize - kChecksumDigits, kChecksumDigits) == 0;
}

std::string HashTokenText(absl::string_view text) {
  std::string hash(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const uint8_t*>(text.data()), text.size(), reinterpret_cast<uint8_t*>(&hash[0]));
  return hash;
}

}  // namespace keyferry::server
