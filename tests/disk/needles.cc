#include "tests/disk/needles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace keyferry::testing {
namespace {

constexpr size_t kKeyBytes = sizeof(uint64_t);
constexpr size_t kShortestText = 16;

uint64_t KeyOf(const char* bytes) {
  uint64_t key;
  memcpy(&key, bytes, kKeyBytes);
  return key;
}

// The characters of the base64 of any text that holds `text` at an offset of `shift` bytes modulo 3 which depend on
// nothing but `text`.
std::string InnerBase64(absl::string_view text, size_t shift, bool web_safe) {
  const std::string padded = std::string(shift, '\0') + std::string(text);
  std::string encoded = web_safe ? absl::WebSafeBase64Escape(padded) : absl::Base64Escape(padded);
  const size_t first = (shift * 8 + 5) / 6;
  const size_t last = padded.size() * 8 / 6;
  return encoded.substr(first, last - first);
}

}  // namespace

void Needles::Add(absl::string_view text) {
  if (text.size() < kShortestText) {
    fprintf(stderr, "a needle is too short\n");
    abort();
  }
  ++count_;
  const std::string shown = absl::StrCat("\"", absl::CHexEscape(text.substr(0, 6)), "...\"");
  AddForm(std::string(text), absl::StrCat(shown, " in clear"));
  const std::string hex = absl::BytesToHexString(text);
  AddForm(hex, absl::StrCat(shown, " in hex"));
  AddForm(absl::AsciiStrToUpper(hex), absl::StrCat(shown, " in upper-case hex"));
  for (size_t shift = 0; shift < 3; ++shift) {
    AddForm(InnerBase64(text, shift, /*web_safe=*/false), absl::StrCat(shown, " in base64, alignment ", shift));
    AddForm(InnerBase64(text, shift, /*web_safe=*/true), absl::StrCat(shown, " in base64url, alignment ", shift));
  }
}

void Needles::AddForm(std::string bytes, std::string description) {
  forms_[KeyOf(bytes.data())].push_back({std::move(bytes), std::move(description)});
}

std::vector<std::string> Needles::FindIn(absl::string_view haystack) const {
  std::vector<std::string> found;
  for (size_t at = 0; at + kKeyBytes <= haystack.size(); ++at) {
    const auto candidates = forms_.find(KeyOf(haystack.data() + at));
    if (candidates == forms_.end()) continue;
    for (const Form& form : candidates->second) {
      if (haystack.substr(at, form.bytes.size()) == form.bytes) found.push_back(form.description);
    }
  }
  return found;
}

}  // namespace keyferry::testing
