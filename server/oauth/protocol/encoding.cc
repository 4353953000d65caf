#include "server/oauth/protocol/encoding.h"

#include <cstdint>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {
namespace {

constexpr char kHex[] = "0123456789ABCDEF";

template <typename Keeps>
std::string Escape(absl::string_view text, Keeps keeps, bool plus_for_space) {
  std::string out;
  out.reserve(text.size() * 3);
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (keeps(c)) {
      out.push_back(c);
    } else if (c == ' ' && plus_for_space) {
      out.push_back('+');
    } else {
      out.push_back('%');
      out.push_back(kHex[byte >> 4]);
      out.push_back(kHex[byte & 15]);
    }
  }
  return out;
}

bool IsOneOf(char c, absl::string_view set) { return c != '\0' && set.find(c) != absl::string_view::npos; }

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

template <typename Encode>
std::string Join(const ParameterList& parameters, Encode encode) {
  std::string out;
  // Reserved at once, so that no shorter copy of a secret is left behind.
  size_t size = 0;
  for (const Parameter& parameter : parameters.all()) size += 3 * (parameter.name.size() + parameter.value.size()) + 2;
  out.reserve(size);
  for (const Parameter& parameter : parameters.all()) {
    if (!out.empty()) out.push_back('&');
    out.append(encode(parameter.name));
    out.push_back('=');
    std::string value = encode(parameter.value);
    out.append(value);
    storage::WipeString(value);
  }
  return out;
}

}  // namespace

std::string FormEscape(absl::string_view text) {
  return Escape(
      text, [](char c) { return absl::ascii_isalnum(c) || IsOneOf(c, "*-._"); }, /*plus_for_space=*/true);
}

std::string FormText(const ParameterList& parameters) { return Join(parameters, FormEscape); }

std::string UriEscape(absl::string_view text) {
  return Escape(
      text, [](char c) { return absl::ascii_isalnum(c) || IsOneOf(c, "-._~"); }, /*plus_for_space=*/false);
}

std::string UriText(const ParameterList& parameters) { return Join(parameters, UriEscape); }

std::string UriEscapeLoosely(absl::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    const bool escape = c == '%' && at + 2 < text.size() && HexValue(text[at + 1]) >= 0 && HexValue(text[at + 2]) >= 0;
    if (escape || absl::ascii_isalnum(c) || IsOneOf(c, "-._~!$'()*+,;:@/?")) {
      out.push_back(c);
    } else {
      out.append(UriEscape(text.substr(at, 1)));
    }
  }
  return out;
}

bool FormUnescape(absl::string_view text, std::string* out) {
  out->clear();
  out->reserve(text.size());
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '+') {
      out->push_back(' ');
    } else if (text[at] != '%') {
      out->push_back(text[at]);
    } else {
      if (at + 2 >= text.size()) return false;
      const int high = HexValue(text[at + 1]), low = HexValue(text[at + 2]);
      if (high < 0 || low < 0) return false;
      out->push_back(static_cast<char>(high * 16 + low));
      at += 2;
    }
  }
  return true;
}

absl::StatusOr<ParameterList> ParseForm(absl::string_view text, size_t max_parameters) {
  ParameterList out;
  std::set<std::string> names;
  std::string name, value;
  for (const absl::string_view piece : absl::StrSplit(text, '&', absl::SkipEmpty())) {
    const size_t equals = piece.find('=');
    const absl::string_view raw_value = equals == absl::string_view::npos ? "" : piece.substr(equals + 1);
    if (!FormUnescape(piece.substr(0, equals), &name) || !FormUnescape(raw_value, &value)) {
      return absl::InvalidArgumentError("a percent sign is not followed by two hexadecimal digits");
    }
    if (name.find('\0') != std::string::npos || value.find('\0') != std::string::npos) {
      return absl::InvalidArgumentError("a parameter holds a NUL");
    }
    if (!names.insert(name).second) return absl::InvalidArgumentError("a parameter comes twice");
    if (names.size() > max_parameters) return absl::InvalidArgumentError("there are too many parameters");
    out.Add(name, value);
    storage::WipeString(value);
  }
  return out;
}

std::string Base64Url(absl::string_view bytes) {
  std::string text = absl::WebSafeBase64Escape(bytes);
  // Abseil's has no padding already; this holds the contract if that changes.
  while (!text.empty() && text.back() == '=') text.pop_back();
  return text;
}

std::string Base64(absl::string_view bytes) { return absl::Base64Escape(bytes); }

bool IsUtf8(absl::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    const auto first = static_cast<uint8_t>(text[at]);
    if (first < 0x80) {
      ++at;
      continue;
    }
    const size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || at + length > text.size()) return false;
    for (size_t i = 1; i < length; ++i) {
      if ((static_cast<uint8_t>(text[at + i]) & 0xC0) != 0x80) return false;
    }
    const auto second = static_cast<uint8_t>(text[at + 1]);
    // Overlong forms, surrogates, and beyond U+10FFFF.
    if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) || (first == 0xF0 && second < 0x90) ||
        (first == 0xF4 && second > 0x8F)) {
      return false;
    }
    at += length;
  }
  return true;
}

std::string Printable(absl::string_view text, size_t max_bytes) {
  std::string out;
  for (const char c : text) {
    if (out.size() >= max_bytes) break;
    if (absl::ascii_isspace(c)) {
      if (!out.empty() && out.back() != ' ') out.push_back(' ');
    } else {
      out.push_back(absl::ascii_isprint(c) ? c : '?');
    }
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace keyferry::server
