#include "injector/redact/utf8_character.h"

namespace keyferry::injector {
namespace {

// The character that begins at `text`, of size 0 if none does.
Utf8Character Decode(absl::string_view text) {
  static constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80) return {lead, 1, 0};
  const uint8_t size = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc0 || lead >= 0xf8 || text.size() < size) return {};
  uint32_t code_point = lead & (0x7f >> size);
  for (size_t i = 1; i < size; ++i) {
    const auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xc0) != 0x80) return {};
    code_point = code_point << 6 | (next & 0x3f);
  }
  const bool surrogate = code_point >= 0xd800 && code_point < 0xe000;
  if (code_point < kSmallest[size] || code_point > 0x10ffff || surrogate) return {};
  return {code_point, size, 0};
}

}  // namespace

Utf8Character CharacterAt(absl::string_view text, size_t index) {
  for (size_t back = 0; back <= 3 && back <= index; ++back) {
    if ((static_cast<unsigned char>(text[index - back]) & 0xc0) == 0x80) continue;
    Utf8Character character = Decode(text.substr(index - back));
    if (character.size <= back) return {};
    character.offset = static_cast<uint8_t>(back);
    return character;
  }
  return {};
}

}  // namespace keyferry::injector
