#ifndef KEYFERRY_INJECTOR_REDACT_JSON_TRACKER_H_
#define KEYFERRY_INJECTOR_REDACT_JSON_TRACKER_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace keyferry::injector {

// Where in a line of JSON a stream stands, so that what is put there keeps the line valid. Lines that do not begin as
// objects, as arrays of strings, objects or arrays, or with a string are not taken for JSON.
class JsonTracker {
 public:
  void Advance(absl::string_view text);

  bool in_json() const { return line_ == Line::kJson; }
  // In a line of JSON, or in what may become one: it has a bracket so far.
  bool may_be_json() const { return line_ == Line::kJson || line_ == Line::kBrace || line_ == Line::kBracket; }
  // Within a string of a line of JSON.
  bool in_string() const { return in_json() && in_string_; }
  // Directly behind a part of a number.
  bool in_number() const { return in_json() && !in_string_ && IsNumberByte(last_); }

  bool in_escape() const { return in_string() && EscapeOpen(); }

  // What ends the escape that the stream stands in, so that the string may go on with other text; empty if it stands in
  // none. A high surrogate is ended by a low one.
  std::string EscapeEnd() const;
  // Whether a byte belongs to the escape that the stream stands in.
  bool ContinuesEscape(char c) const;

  static bool IsNumberByte(char c) {
    return (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '+' || c == 'e' || c == 'E';
  }

 private:
  enum class Line : uint8_t { kStart, kBrace, kBracket, kJson, kOther };

  void Step(char c);
  void StepEscape(char c);
  void StepLineStart(char c);
  size_t SkipQuickly(absl::string_view text);
  bool EscapeOpen() const { return escape_size_ > 0 || high_surrogate_; }

  Line line_ = Line::kStart;
  bool in_string_ = false;
  // The last whole escape is a high surrogate, and nothing has followed it.
  bool high_surrogate_ = false;
  // The bytes of an escape that has begun: `\`, `\u`, `\u` and up to three digits.
  uint8_t escape_size_ = 0;
  uint16_t escape_digits_ = 0;
  char last_ = '\n';
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_REDACT_JSON_TRACKER_H_
