#include "injector/redact/form.h"

#include <string.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "injector/redact/utf8_character.h"

namespace keyferry::injector {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";
constexpr char kBase64Digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr size_t kUnbrokenUnits = 8;
// How many backslashes stand before a letter at the nesting depths that are recognized, and before what must be escaped
// itself at each of them.
constexpr int kLetterRuns[] = {1, 2, 4};
constexpr int kQuoteRuns[] = {1, 3, 7};
constexpr int kSlashRuns[] = {1, 2, 3};

void Append(Spelling& spelling, char c) { spelling.text[spelling.size++] = c; }

void AppendUnicode(Spelling& spelling, int backslashes, uint32_t unit) {
  for (int i = 0; i < backslashes; ++i) Append(spelling, '\\');
  Append(spelling, 'u');
  for (int bits = 12; bits >= 0; bits -= 4) Append(spelling, kHexDigits[unit >> bits & 15]);
  spelling.any_case = true;
}

class Lister {
 public:
  explicit Lister(Spellings& result) : result_(result) {}

  void Add(const Spelling& spelling) { result_.list[result_.count++] = spelling; }

  void Byte(char c, int times = 1) {
    Spelling spelling;
    for (int i = 0; i < times; ++i) Append(spelling, c);
    Add(spelling);
  }

  void Percent(unsigned char byte) {
    Spelling spelling;
    Append(spelling, '%');
    Append(spelling, kHexDigits[byte >> 4]);
    Append(spelling, kHexDigits[byte & 15]);
    spelling.any_case = true;
    Add(spelling);
  }

  void Escaped(char letter, const int (&runs)[3]) {
    for (const int run : runs) {
      Spelling spelling;
      for (int i = 0; i < run; ++i) Append(spelling, '\\');
      Append(spelling, letter);
      Add(spelling);
    }
  }

  // `deepest` is the longest run of backslashes.
  void Unicode(uint32_t code_point, uint8_t units, int deepest = 4) {
    for (const int run : kLetterRuns) {
      if (run > deepest) break;
      Spelling spelling;
      if (code_point >= 0x10000) {
        AppendUnicode(spelling, run, 0xd800 + ((code_point - 0x10000) >> 10));
        AppendUnicode(spelling, run, 0xdc00 + ((code_point - 0x10000) & 0x3ff));
      } else {
        AppendUnicode(spelling, run, code_point);
      }
      spelling.units = units;
      Add(spelling);
    }
  }

 private:
  Spellings& result_;
};

// True if a byte of the value may not stand for itself in this form.
bool IsRespelled(const Form& form, char c) { return (c == '\\' && form.backslashes > 1) || (c == '%' && form.percent); }

void ListAscii(const Form& form, char c, Lister& lister) {
  static constexpr absl::string_view kControls = "\b\f\n\r\t";
  static constexpr absl::string_view kLetters = "bfnrt";
  if (c == '\\') {
    lister.Byte(c, form.backslashes);
  } else if (!IsRespelled(form, c)) {
    lister.Byte(c);
  }
  if (absl::ascii_isalnum(static_cast<unsigned char>(c))) return;
  if (c != '%' || form.percent) lister.Percent(static_cast<unsigned char>(c));
  if (c == ' ') lister.Byte('+');
  if (c == '"') lister.Escaped(c, kQuoteRuns);
  if (c == '/') lister.Escaped(c, kSlashRuns);
  const size_t control = kControls.find(c);
  if (control != absl::string_view::npos) lister.Escaped(kLetters[control], kLetterRuns);
  // A run of backslashes that already is the value's backslash does not begin an escape of it.
  lister.Unicode(static_cast<unsigned char>(c), 1, c == '\\' ? form.backslashes / 2 : 4);
}

void ListText(const Form& form, size_t unit, Lister& lister) {
  const char c = form.value[unit];
  if (static_cast<unsigned char>(c) < 0x80) return ListAscii(form, c, lister);
  lister.Byte(c);
  lister.Percent(static_cast<unsigned char>(c));
  const Utf8Character character = CharacterAt(form.value, unit);
  if (character.size == 0) {
    lister.Unicode(static_cast<unsigned char>(c), 1);
    lister.Unicode(0xdc00 + static_cast<unsigned char>(c), 1);
  } else if (character.offset == 0) {
    lister.Unicode(character.code_point, character.size);
  }
}

// Six bits, of which those in `mask` belong to the value.
struct Digit {
  uint8_t bits = 0;
  uint8_t mask = 0;
};

Digit DigitOf(const Form& form, size_t unit) {
  // Two bytes from which the digit is cut; those outside of the value count as unknown.
  const ptrdiff_t bit = static_cast<ptrdiff_t>(unit * 6) - form.shift * 2;
  const ptrdiff_t byte = bit >> 3;
  const auto size = static_cast<ptrdiff_t>(form.value.size());
  unsigned bits = 0;
  unsigned mask = 0;
  if (byte >= 0) {
    bits = static_cast<unsigned char>(form.value[byte]) << 8;
    mask = 0xff00;
  }
  if (byte + 1 < size) {
    bits |= static_cast<unsigned char>(form.value[byte + 1]);
    mask |= 0xff;
  }
  const auto down = static_cast<unsigned>(10 - (bit & 7));
  return {static_cast<uint8_t>(bits >> down & 63), static_cast<uint8_t>(mask >> down & 63)};
}

void ListBase64(const Form& form, size_t unit, Lister& lister) {
  const Digit digit = DigitOf(form, unit);
  for (int i = 0; i < 64; ++i) {
    if ((i & digit.mask) != digit.bits) continue;
    const char c = kBase64Digits[i];
    lister.Byte(c);
    if (i < 62) continue;
    lister.Byte(c == '+' ? '-' : '_');
    lister.Percent(static_cast<unsigned char>(c));
    if (c == '/') lister.Escaped(c, kSlashRuns);
    lister.Unicode(static_cast<unsigned char>(c), 1, 1);
  }
}

struct Base64Codes {
  std::array<uint8_t, 256> of{};
  constexpr Base64Codes() {
    for (size_t i = 0; i < of.size(); ++i) of[i] = 0xff;
    for (uint8_t i = 0; i < 64; ++i) of[static_cast<unsigned char>(kBase64Digits[i])] = i;
    of['-'] = 62;
    of['_'] = 63;
  }
};
constexpr Base64Codes kBase64Codes;

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

int NibbleOf(const Form& form, size_t unit) {
  const auto byte = static_cast<unsigned char>(form.value[unit / 2]);
  return unit % 2 == 0 ? byte >> 4 : byte & 15;
}

// As far as both go.
bool Agrees(const Spelling& spelling, absl::string_view text) {
  const size_t size = std::min<size_t>(spelling.size, text.size());
  for (size_t i = 0; i < size; ++i) {
    const char c = spelling.text[i];
    if (text[i] == c) continue;
    if (!spelling.any_case || c < 'a' || c > 'f' || text[i] != c - 'a' + 'A') return false;
  }
  return true;
}

// Compares one unit whose spelling is an escape.
Agreement CompareSpelled(const Form& form, absl::string_view text, Progress& progress) {
  const absl::string_view rest = text.substr(progress.bytes);
  Agreement result = Agreement::kDiffers;
  for (const Spelling& spelling : ListSpellings(form, progress.units)) {
    if (!Agrees(spelling, rest)) continue;
    if (rest.size() >= spelling.size) {
      progress.units += spelling.units;
      progress.bytes += spelling.size;
      return Agreement::kComplete;
    }
    result = Agreement::kNeedsMore;
  }
  return result;
}

size_t CommonPrefix(const char* a, const char* b, size_t size) {
  size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    uint64_t x, y;
    memcpy(&x, a + i, 8);
    memcpy(&y, b + i, 8);
    if (x != y) break;
  }
  while (i < size && a[i] == b[i]) ++i;
  return i;
}

// Takes units that stand for themselves; true if it took any.
bool TakeLiteral(const Form& form, absl::string_view text, size_t unit_limit, Progress& progress) {
  const size_t size = std::min(unit_limit - progress.units, text.size() - progress.bytes);
  const char* const value = form.value.data() + progress.units;
  size_t taken = 0;
  if (form.literal) {
    taken = CommonPrefix(value, text.data() + progress.bytes, size);
  } else {
    const char* const from = text.data() + progress.bytes;
    while (taken < size && from[taken] == value[taken] && !IsRespelled(form, value[taken])) ++taken;
  }
  progress.units += taken;
  progress.bytes += taken;
  return taken > 0;
}

Agreement CompareText(const Form& form, absl::string_view text, size_t unit_limit, Progress& progress) {
  while (progress.units < unit_limit) {
    if (progress.bytes == text.size()) return Agreement::kNeedsMore;
    if (TakeLiteral(form, text, unit_limit, progress)) continue;
    const char c = text[progress.bytes];
    if (c != '\\' && c != '%' && c != '+') return Agreement::kDiffers;
    const Agreement unit = CompareSpelled(form, text, progress);
    if (unit != Agreement::kComplete) return unit;
  }
  return Agreement::kComplete;
}

// The bytes of a line break at the beginning of `text`, 0 if there is none; *partial: the text may be the beginning of
// one.
size_t LineBreakSize(absl::string_view text, bool* partial) {
  static constexpr absl::string_view kBreaks[] = {"\n", "\r\n", "\\n", "\\r\\n", "\\\\n", "\\\\r\\\\n"};
  *partial = false;
  for (const absl::string_view line_break : kBreaks) {
    const size_t size = std::min(line_break.size(), text.size());
    if (line_break.substr(0, size) != text.substr(0, size)) continue;
    if (size == line_break.size()) return size;
    *partial = true;
  }
  return 0;
}

Agreement CompareBase64Digit(const Form& form, absl::string_view text, Progress& progress) {
  const char c = text[progress.bytes];
  const uint8_t code = kBase64Codes.of[static_cast<unsigned char>(c)];
  if (code == 0xff) {
    return c == '\\' || c == '%' ? CompareSpelled(form, text, progress) : Agreement::kDiffers;
  }
  const Digit digit = DigitOf(form, progress.units);
  if ((code & digit.mask) != digit.bits) return Agreement::kDiffers;
  ++progress.units;
  ++progress.bytes;
  return Agreement::kComplete;
}

Agreement CompareBase64(const Form& form, absl::string_view text, size_t unit_limit, Progress& progress) {
  while (progress.units < unit_limit) {
    if (progress.bytes == text.size()) return Agreement::kNeedsMore;
    Progress next = progress;
    bool partial = false;
    const char c = text[next.bytes];
    if (next.units >= kUnbrokenUnits && (c == '\n' || c == '\r' || c == '\\')) {
      next.bytes += LineBreakSize(text.substr(next.bytes), &partial);
      if (next.bytes == text.size()) return Agreement::kNeedsMore;
    }
    const Agreement unit = CompareBase64Digit(form, text, next);
    if (unit == Agreement::kDiffers && partial) return Agreement::kNeedsMore;
    if (unit != Agreement::kComplete) return unit;
    progress = next;
  }
  return Agreement::kComplete;
}

Agreement CompareHex(const Form& form, absl::string_view text, size_t unit_limit, Progress& progress) {
  for (; progress.units < unit_limit; ++progress.units, ++progress.bytes) {
    if (progress.bytes == text.size()) return Agreement::kNeedsMore;
    if (HexValue(text[progress.bytes]) != NibbleOf(form, progress.units)) return Agreement::kDiffers;
  }
  return Agreement::kComplete;
}

}  // namespace

size_t UnitCount(const Form& form) {
  switch (form.encoding) {
    case Encoding::kText:
      return form.value.size();
    case Encoding::kBase64:
      return ((form.shift + form.value.size()) * 8 + 5) / 6 - form.shift;
    case Encoding::kHex:
      break;
  }
  return form.value.size() * 2;
}

uint16_t UnitKey(const Form& form, size_t unit) {
  if (form.encoding == Encoding::kHex) return static_cast<uint16_t>(NibbleOf(form, unit));
  if (form.encoding == Encoding::kBase64) {
    const Digit digit = DigitOf(form, unit);
    return static_cast<uint16_t>(digit.mask << 8 | digit.bits);
  }
  const Utf8Character character = CharacterAt(form.value, unit);
  return static_cast<uint16_t>((character.size * 4 + character.offset) << 8 |
                               static_cast<unsigned char>(form.value[unit]));
}

Spellings ListSpellings(const Form& form, size_t unit) {
  Spellings spellings;
  Lister lister(spellings);
  if (form.encoding == Encoding::kText) {
    ListText(form, unit, lister);
  } else if (form.encoding == Encoding::kBase64) {
    ListBase64(form, unit, lister);
  } else {
    Spelling spelling;
    Append(spelling, kHexDigits[NibbleOf(form, unit)]);
    spelling.any_case = true;
    lister.Add(spelling);
  }
  return spellings;
}

Agreement Compare(const Form& form, absl::string_view text, size_t unit_limit, Progress& progress) {
  if (form.encoding == Encoding::kText) return CompareText(form, text, unit_limit, progress);
  if (form.encoding == Encoding::kBase64) return CompareBase64(form, text, unit_limit, progress);
  return CompareHex(form, text, unit_limit, progress);
}

}  // namespace keyferry::injector
