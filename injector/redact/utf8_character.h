#ifndef KEYFERRY_INJECTOR_REDACT_UTF8_CHARACTER_H_
#define KEYFERRY_INJECTOR_REDACT_UTF8_CHARACTER_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace keyferry::injector {

// The character of UTF-8 (RFC 3629) that a byte belongs to.
struct Utf8Character {
  uint32_t code_point = 0;
  // In bytes; 0: the byte belongs to none.
  uint8_t size = 0;
  // Of the byte within the character.
  uint8_t offset = 0;
};

// `index` must be within `text`.
Utf8Character CharacterAt(absl::string_view text, size_t index);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_REDACT_UTF8_CHARACTER_H_
