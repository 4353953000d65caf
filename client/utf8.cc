#include "client/utf8.h"

namespace keyferry::client {
namespace {

// How many bytes a character with this first byte has, 0 if none can start with it.
size_t Length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xc2) return 0;
  if (lead < 0xe0) return 2;
  if (lead < 0xf0) return 3;
  return lead < 0xf5 ? 4 : 0;
}

// Overlong forms, surrogates and what is above U+10FFFF differ from good ones in their second byte.
bool SecondByteFits(unsigned char lead, unsigned char second) {
  if (lead == 0xe0) return second >= 0xa0;
  if (lead == 0xed) return second <= 0x9f;
  if (lead == 0xf0) return second >= 0x90;
  return lead != 0xf4 || second <= 0x8f;
}

}  // namespace

size_t FindInvalidUtf8(absl::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = Length(lead);
    if (length == 0 || i + length > text.size()) return i;
    if (length > 1 && !SecondByteFits(lead, static_cast<unsigned char>(text[i + 1]))) return i;
    for (size_t j = 1; j < length; ++j) {
      if ((static_cast<unsigned char>(text[i + j]) & 0xc0) != 0x80) return i;
    }
    i += length;
  }
  return absl::string_view::npos;
}

}  // namespace keyferry::client
