#include "injector/mcp/json_object.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/utf8.h"
#include "injector/mcp/json_scanner.h"

namespace keyferry::injector::mcp {
namespace {

// Integers up to this many digits are written out; longer ones keep an exponent, so that 1e999999 stays small.
constexpr int64_t kMaxPlainDigits = 40;
constexpr size_t kMaxExponentDigits = 6;

bool IsTokenOf(absl::string_view token, char first) {
  return !token.empty() && token.front() == first &&
         SkipJsonValue(token.data(), token.data() + token.size()) == token.data() + token.size();
}

uint32_t HexDigits(absl::string_view digits) {
  uint32_t value = 0;
  for (const char c : digits) {
    value = value * 16 + (c <= '9' ? c - '0' : absl::ascii_tolower(c) - 'a' + 10);
  }
  return value;
}

void AppendUtf8(uint32_t c, std::string& text) {
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += {static_cast<char>(0xc0 | c >> 6), static_cast<char>(0x80 | (c & 0x3f))};
  } else if (c < 0x10000) {
    text += {static_cast<char>(0xe0 | c >> 12), static_cast<char>(0x80 | (c >> 6 & 0x3f)),
             static_cast<char>(0x80 | (c & 0x3f))};
  } else {
    text += {static_cast<char>(0xf0 | c >> 18), static_cast<char>(0x80 | (c >> 12 & 0x3f)),
             static_cast<char>(0x80 | (c >> 6 & 0x3f)), static_cast<char>(0x80 | (c & 0x3f))};
  }
}

// `rest` starts after the backslash of a valid escape, which is removed from it.
bool DecodeEscape(absl::string_view& rest, std::string& text) {
  const char kind = rest.front();
  rest.remove_prefix(1);
  if (kind != 'u') {
    static constexpr absl::string_view kFrom = "bfnrt";
    static constexpr absl::string_view kTo = "\b\f\n\r\t";
    const size_t at = kFrom.find(kind);
    text += at == absl::string_view::npos ? kind : kTo[at];
    return true;
  }
  uint32_t c = HexDigits(rest.substr(0, 4));
  rest.remove_prefix(4);
  if (c >= 0xd800 && c < 0xe000) {
    if (c >= 0xdc00 || !absl::StartsWith(rest, "\\u")) return false;
    const uint32_t low = HexDigits(rest.substr(2, 4));
    if (low < 0xdc00 || low >= 0xe000) return false;
    rest.remove_prefix(6);
    c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
  }
  AppendUtf8(c, text);
  return true;
}

// As Go's strings.EqualFold does for the letters of our names: ASCII case, and U+017F for s.
std::string FoldKey(absl::string_view key) {
  return absl::AsciiStrToLower(absl::StrReplaceAll(key, {{"\xc5\xbf", "s"}}));
}

}  // namespace

bool DecodeJsonString(absl::string_view token, std::string& text) {
  text.clear();
  if (!IsTokenOf(token, '"')) return false;
  absl::string_view rest = token.substr(1, token.size() - 2);
  while (!rest.empty()) {
    const size_t plain = rest.find('\\');
    absl::StrAppend(&text, rest.substr(0, plain));
    if (plain == absl::string_view::npos) break;
    rest.remove_prefix(plain + 1);
    if (!DecodeEscape(rest, text)) return false;
  }
  return client::FindInvalidUtf8(text) == absl::string_view::npos;
}

bool CanonicalJsonNumber(absl::string_view token, std::string& number) {
  number.clear();
  if (token.empty() || (token.front() != '-' && !absl::ascii_isdigit(token.front()))) return false;
  if (!IsTokenOf(token, token.front())) return false;
  const bool negative = token.front() == '-';
  if (negative) token.remove_prefix(1);

  int64_t exponent = 0;
  const size_t e = token.find_first_of("eE");
  if (e != absl::string_view::npos) {
    absl::string_view digits = token.substr(e + 1);
    if (digits.size() > kMaxExponentDigits + (absl::ascii_isdigit(digits.front()) ? 0 : 1)) return false;
    if (!absl::SimpleAtoi(digits, &exponent)) return false;
    token = token.substr(0, e);
  }
  const size_t point = token.find('.');
  std::string digits(token.substr(0, point));
  if (point != absl::string_view::npos) {
    absl::StrAppend(&digits, token.substr(point + 1));
    exponent -= static_cast<int64_t>(token.size() - point - 1);
  }
  const size_t significant = digits.find_first_not_of('0');
  if (significant == std::string::npos) {
    number = "0";
    return true;
  }
  digits.erase(0, significant);
  const size_t last = digits.find_last_not_of('0');
  exponent += static_cast<int64_t>(digits.size() - last - 1);
  digits.resize(last + 1);
  if (exponent > 0 && exponent + static_cast<int64_t>(digits.size()) <= kMaxPlainDigits) {
    digits.append(static_cast<size_t>(exponent), '0');
    exponent = 0;
  }
  number = absl::StrCat(negative ? "-" : "", digits);
  if (exponent != 0) absl::StrAppend(&number, "e", exponent);
  return true;
}

std::string QuoteJsonString(absl::string_view text) {
  std::string token = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      token += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppend(&token, "\\u", absl::Hex(c, absl::kZeroPad4));
    } else {
      token += c;
    }
  }
  token += '"';
  return token;
}

JsonObjectReader::JsonObjectReader(absl::string_view text) : next_(text.data()), end_(text.data() + text.size()) {
  if (text.empty() || text.front() != '{') {
    Fail();
    return;
  }
  next_ = SkipJsonBlanks(next_ + 1, end_);
}

bool JsonObjectReader::Fail() {
  done_ = true;
  ok_ = false;
  return false;
}

bool JsonObjectReader::Next() {
  if (done_) return false;
  if (next_ == end_) return Fail();
  if (*next_ == '}') {
    done_ = true;
    if (next_ + 1 != end_) Fail();
    return false;
  }
  if (!first_) {
    if (*next_ != ',') return Fail();
    next_ = SkipJsonBlanks(next_ + 1, end_);
  }
  first_ = false;
  if (next_ == end_ || *next_ != '"') return Fail();
  const char* const key_end = SkipJsonValue(next_, end_);
  if (key_end == nullptr) return Fail();
  if (!DecodeJsonString(absl::string_view(next_, key_end - next_), key_)) return Fail();
  const char* p = SkipJsonBlanks(key_end, end_);
  if (p == end_ || *p != ':') return Fail();
  p = SkipJsonBlanks(p + 1, end_);
  const char* const value_end = SkipJsonValue(p, end_);
  if (value_end == nullptr) return Fail();
  value_ = absl::string_view(p, value_end - p);
  next_ = SkipJsonBlanks(value_end, end_);
  return true;
}

bool IsVariantOfKey(absl::string_view key, absl::string_view name) {
  // A folded letter has at most two bytes; objects may have many keys.
  if (key.size() < name.size() || key.size() > 2 * name.size() || key == name) return false;
  return FoldKey(key) == FoldKey(name);
}

JsonMember FindJsonMember(absl::string_view object, absl::string_view name, absl::string_view& value) {
  JsonObjectReader reader(object);
  JsonMember found = JsonMember::kAbsent;
  while (reader.Next()) {
    if (reader.key() == name) {
      if (found == JsonMember::kFound) return JsonMember::kUnclear;
      found = JsonMember::kFound;
      value = reader.value();
    } else if (IsVariantOfKey(reader.key(), name)) {
      return JsonMember::kUnclear;
    }
  }
  return reader.ok() ? found : JsonMember::kUnclear;
}

}  // namespace keyferry::injector::mcp
