#ifndef KEYFERRY_INJECTOR_REDACT_FORM_H_
#define KEYFERRY_INJECTOR_REDACT_FORM_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace keyferry::injector {

// One way in which a value may be written. A form is a sequence of units, each of which has a set of spellings of which
// none begins with another, so that text is matched from left to right without ever going back.
//
//   kText    a unit is a byte of the value: itself; percent-encoded (RFC 3986 2.1, either case; a space also as `+`);
//            a JSON escape (RFC 8259 7), also of JSON that stands in strings of JSON up to three deep. ASCII letters
//            and digits are only themselves. The bytes of one character of UTF-8 may be one `\uXXXX` or a surrogate
//            pair; a byte that is not UTF-8 may be `\u00XX` or, as Python writes it, `\udcXX`.
//   kBase64  a unit is a digit (RFC 4648 4 and 5, both alphabets) that holds at least one bit of the value, which
//   stands
//            after `shift` other bytes of a group of three; `+` and `/` may be escaped as above. From the ninth unit on
//            a line break, also as a JSON escape, may come before a unit.
//   kHex     a unit is half a byte, in either case.
//
// A backslash in the value is written as one, two or four, and a percent sign as itself or as %25, throughout: each
// choice is a form of its own.
enum class Encoding : uint8_t { kText, kBase64, kHex };

struct Form {
  Encoding encoding = Encoding::kText;
  // kBase64: 0, 1 or 2.
  uint8_t shift = 0;
  // kText: how a backslash of the value is written.
  uint8_t backslashes = 1;
  // kText: a percent sign of the value is written as %25.
  bool percent = false;
  // kText: no byte of the value is excluded from standing for itself.
  bool literal = true;
  // Which of the values.
  uint32_t value_index = 0;
  // Owned by the set of patterns.
  absl::string_view value;
};

size_t UnitCount(const Form& form);

// Equal for two units of a form exactly if they have the same spellings.
uint16_t UnitKey(const Form& form, size_t unit);

struct Spelling {
  std::array<char, 24> text;
  uint8_t size = 0;
  // How many units it stands for.
  uint8_t units = 1;
  // Hexadecimal digits of it may be upper case.
  bool any_case = false;

  absl::string_view view() const { return {text.data(), size}; }
};

struct Spellings {
  std::array<Spelling, 28> list;
  size_t count = 0;

  const Spelling* begin() const { return list.data(); }
  const Spelling* end() const { return list.data() + count; }
};

// The spellings of a unit, without line breaks.
Spellings ListSpellings(const Form& form, size_t unit);

// How far a form agrees with a text: so many units, written in so many bytes.
struct Progress {
  size_t units = 0;
  size_t bytes = 0;
};

enum class Agreement {
  kDiffers,
  // All of the text agrees, and there are units left.
  kNeedsMore,
  kComplete,
};

// Compares on from `progress`, which it advances, until `unit_limit` units agree. `text` begins where the form does.
Agreement Compare(const Form& form, absl::string_view text, size_t unit_limit, Progress& progress);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_REDACT_FORM_H_
