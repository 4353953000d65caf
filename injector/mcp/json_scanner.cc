#include "injector/mcp/json_scanner.h"

#include <cstdint>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace keyferry::injector::mcp {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// The first byte at or after `p` that a string cannot hold as it is: a quote, a backslash or a control character.
const char* FindSpecial(const char* p, const char* end) {
#ifdef __SSE2__
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i last_control = _mm_set1_epi8(0x1f);
  for (; end - p >= 16; p += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m128i control = _mm_cmpeq_epi8(_mm_max_epu8(bytes, last_control), last_control);
    const __m128i special =
        _mm_or_si128(control, _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash)));
    const int mask = _mm_movemask_epi8(special);
    if (mask != 0) return p + __builtin_ctz(mask);
  }
#endif
  while (p != end && *p != '"' && *p != '\\' && static_cast<unsigned char>(*p) > 0x1f) ++p;
  return p;
}

// `p` is at the opening quote.
const char* SkipString(const char* p, const char* end) {
  for (++p;; ++p) {
    p = FindSpecial(p, end);
    if (p == end) return nullptr;
    if (*p == '"') return p + 1;
    if (*p != '\\' || ++p == end) return nullptr;
    if (*p == 'u') {
      if (end - p < 5) return nullptr;
      for (int i = 0; i < 4; ++i) {
        if (!absl::ascii_isxdigit(*++p)) return nullptr;
      }
    } else if (std::memchr("\"\\/bfnrt", *p, 8) == nullptr) {
      return nullptr;
    }
  }
}

const char* SkipDigits(const char* p, const char* end) {
  if (p == end || !IsDigit(*p)) return nullptr;
  while (p != end && IsDigit(*p)) ++p;
  return p;
}

const char* SkipNumber(const char* p, const char* end) {
  if (*p == '-') ++p;
  if (p != end && *p == '0') {
    ++p;
  } else if ((p = SkipDigits(p, end)) == nullptr) {
    return nullptr;
  }
  if (p != end && *p == '.' && (p = SkipDigits(p + 1, end)) == nullptr) return nullptr;
  if (p != end && (*p == 'e' || *p == 'E')) {
    ++p;
    if (p != end && (*p == '+' || *p == '-')) ++p;
    p = SkipDigits(p, end);
  }
  return p;
}

const char* SkipWord(const char* p, const char* end, absl::string_view word) {
  if (static_cast<size_t>(end - p) < word.size() || std::memcmp(p, word.data(), word.size()) != 0) return nullptr;
  return p + word.size();
}

const char* SkipScalar(const char* p, const char* end) {
  switch (*p) {
    case '"':
      return SkipString(p, end);
    case 't':
      return SkipWord(p, end, "true");
    case 'f':
      return SkipWord(p, end, "false");
    case 'n':
      return SkipWord(p, end, "null");
    default:
      return SkipNumber(p, end);
  }
}

// A key, its colon and the blanks up to its value.
const char* SkipKey(const char* p, const char* end) {
  if (p == end || *p != '"' || (p = SkipString(p, end)) == nullptr) return nullptr;
  p = SkipJsonBlanks(p, end);
  if (p == end || *p != ':') return nullptr;
  return SkipJsonBlanks(p + 1, end);
}

// Which of the open brackets are braces.
class Nesting {
 public:
  bool Push(bool object) {
    if (depth_ == kMaxJsonDepth) return false;
    uint64_t& word = bits_[depth_ / 64];
    const uint64_t bit = uint64_t{1} << (depth_ % 64);
    word = object ? word | bit : word & ~bit;
    ++depth_;
    return true;
  }
  void Pop() { --depth_; }
  bool empty() const { return depth_ == 0; }
  bool object() const { return (bits_[(depth_ - 1) / 64] >> ((depth_ - 1) % 64) & 1) != 0; }

 private:
  uint64_t bits_[kMaxJsonDepth / 64] = {};
  int depth_ = 0;
};

// After a value: closes what closes. At the next value if one follows, with `nesting` not empty.
const char* SkipToNextValue(const char* p, const char* end, Nesting& nesting) {
  while (!nesting.empty()) {
    p = SkipJsonBlanks(p, end);
    if (p == end) return nullptr;
    const bool object = nesting.object();
    if (*p == ',') {
      p = SkipJsonBlanks(p + 1, end);
      return object ? SkipKey(p, end) : p;
    }
    if (*p != (object ? '}' : ']')) return nullptr;
    ++p;
    nesting.Pop();
  }
  return p;
}

}  // namespace

const char* SkipJsonBlanks(const char* begin, const char* end) {
  while (begin != end && (*begin == ' ' || *begin == '\t')) ++begin;
  return begin;
}

const char* SkipJsonValue(const char* begin, const char* end) {
  Nesting nesting;
  const char* p = begin;
  do {
    if (p == end) return nullptr;
    if (*p == '{' || *p == '[') {
      const bool object = *p == '{';
      if (!nesting.Push(object)) return nullptr;
      p = SkipJsonBlanks(p + 1, end);
      if (p == end) return nullptr;
      if (*p != (object ? '}' : ']')) {
        if (object && (p = SkipKey(p, end)) == nullptr) return nullptr;
        continue;
      }
      ++p;
      nesting.Pop();
    } else if ((p = SkipScalar(p, end)) == nullptr) {
      return nullptr;
    }
    p = SkipToNextValue(p, end, nesting);
    if (p == nullptr) return nullptr;
  } while (!nesting.empty());
  return p;
}

}  // namespace keyferry::injector::mcp
