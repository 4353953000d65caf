#include "injector/redact/json_tracker.h"

#include <string.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace keyferry::injector {
namespace {

constexpr size_t kBlock = 64;
// Longer than a surrogate pair, so that what is left behind the blocks holds the whole of any escape that is open at
// its end.
constexpr size_t kStepwise = 16;

bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r'; }
bool IsHex(char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); }
bool IsHighSurrogate(unsigned digits) { return digits >= 0xd800 && digits < 0xdc00; }

#if defined(__SSE2__)
// A bit for every byte of the block that equals `c`.
uint64_t EqualBytes(const char* block, char c) {
  const __m128i wanted = _mm_set1_epi8(c);
  uint64_t bits = 0;
  for (int i = 3; i >= 0; --i) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block) + i);
    bits = bits << 16 | static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, wanted)));
  }
  return bits;
}
#endif

}  // namespace

// Takes whole blocks of a line of JSON for which nothing but the number of quotes that are not escaped matters.
size_t JsonTracker::SkipQuickly(absl::string_view text) {
  size_t done = 0;
#if defined(__SSE2__)
  bool escaped_first = false;
  for (; done + kBlock + kStepwise <= text.size(); done += kBlock) {
    uint64_t quotes = EqualBytes(text.data() + done, '"');
    uint64_t backslashes = EqualBytes(text.data() + done, '\\');
    if (escaped_first) {
      quotes &= ~uint64_t{1};
      backslashes &= ~uint64_t{1};
      escaped_first = false;
    }
    while (backslashes != 0) {
      const int at = __builtin_ctzll(backslashes);
      escaped_first = at == 63;
      const uint64_t escape = uint64_t{1} << at | (escaped_first ? 0 : uint64_t{2} << at);
      quotes &= ~escape;
      backslashes &= ~escape;
    }
    in_string_ ^= __builtin_popcountll(quotes) & 1;
  }
  escape_size_ = escaped_first ? 1 : 0;
#endif
  return done;
}

void JsonTracker::Advance(absl::string_view text) {
  if (text.empty()) return;
  const void* const line_end = memrchr(text.data(), '\n', text.size());
  if (line_end != nullptr) {
    *this = JsonTracker();
    text.remove_prefix(static_cast<const char*>(line_end) + 1 - text.data());
  }
  while (!text.empty()) {
    if (line_ == Line::kOther) {
      last_ = text.back();
      return;
    }
    if (line_ == Line::kJson && !EscapeOpen()) text.remove_prefix(SkipQuickly(text));
    Step(text[0]);
    text.remove_prefix(1);
  }
}

void JsonTracker::Step(char c) {
  last_ = c;
  if (line_ != Line::kJson) return StepLineStart(c);
  if (EscapeOpen()) return StepEscape(c);
  if (c == '\\') escape_size_ = 1;
  if (c == '"') in_string_ = !in_string_;
}

void JsonTracker::StepLineStart(char c) {
  if (IsSpace(c)) return;
  Line next = Line::kOther;
  if (line_ == Line::kStart) {
    if (c == '{') next = Line::kBrace;
    if (c == '[') next = Line::kBracket;
    if (c == '"') next = Line::kJson;
  } else if (c == '"' || (c == '}' && line_ == Line::kBrace)) {
    next = Line::kJson;
  } else if (line_ == Line::kBracket && c == '{') {
    next = Line::kBrace;
  } else if (line_ == Line::kBracket && c == '[') {
    next = Line::kBracket;
  }
  line_ = next;
  if (c == '"') in_string_ = true;
}

void JsonTracker::StepEscape(char c) {
  if (escape_size_ == 1) {
    escape_size_ = c == 'u' ? 2 : 0;
    escape_digits_ = 0;
    if (c != 'u') high_surrogate_ = false;
    return;
  }
  if (escape_size_ >= 2 && IsHex(c)) {
    escape_digits_ =
        static_cast<uint16_t>(escape_digits_ << 4 | (absl::ascii_isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10));
    if (++escape_size_ < 6) return;
    escape_size_ = 0;
    high_surrogate_ = !high_surrogate_ && IsHighSurrogate(escape_digits_);
    return;
  }
  if (escape_size_ == 0 && c == '\\') {
    escape_size_ = 1;
    return;
  }
  escape_size_ = 0;
  high_surrogate_ = false;
  Step(c);
}

std::string JsonTracker::EscapeEnd() const {
  if (!in_string()) return "";
  if (escape_size_ < 2) {
    static constexpr absl::string_view kLowSurrogate = "\\udc00";
    if (high_surrogate_) return std::string(kLowSurrogate.substr(escape_size_));
    return escape_size_ == 1 ? "\\" : "";
  }
  const size_t digits = escape_size_ - 2;
  if (high_surrogate_) return std::string(absl::string_view("dc00").substr(digits));
  const std::string space(absl::string_view("0020").substr(digits));
  const unsigned code = digits == 3 ? escape_digits_ << 4 : digits == 2 ? escape_digits_ << 8 : 0;
  return IsHighSurrogate(code) ? absl::StrCat(space, "\\udc00") : space;
}

bool JsonTracker::ContinuesEscape(char c) const {
  if (!in_escape()) return false;
  if (escape_size_ == 0) return c == '\\';
  if (escape_size_ >= 2) return IsHex(c);
  if (high_surrogate_) return c == 'u';
  return absl::string_view("\"\\/bfnrtu").find(c) != absl::string_view::npos;
}

}  // namespace keyferry::injector
