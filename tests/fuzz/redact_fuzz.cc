// Redaction: no value is left in the output in any form, a text without values passes unchanged, and the output does
// not depend on how the text is cut. Input: a byte of flags; values and a text, separated by the byte 0xfe.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "injector/redact/pattern_set.h"
#include "injector/redact/redactor.h"
#include "injector/redact/reference.h"

namespace {

using keyferry::injector::FindReference;
using keyferry::injector::NamedValue;
using keyferry::injector::PatternSet;
using keyferry::injector::Redactor;
using keyferry::injector::RedactReference;

constexpr size_t kMaxValues = 4;
constexpr size_t kMaxValueBytes = 40;
constexpr size_t kMaxTextBytes = 400;

void Require(bool holds) {
  if (!holds) std::abort();
}

// Cut into pieces of sizes that `seed` makes up; in one piece if it is 0.
std::string Redact(const std::vector<NamedValue>& values, absl::string_view text, uint32_t seed) {
  Redactor redactor(PatternSet::Compile(values));
  std::string output;
  while (!text.empty()) {
    seed = seed * 1664525 + (seed == 0 ? 0 : 1013904223);
    const size_t size = seed == 0 ? text.size() : 1 + (seed >> 16) % 13;
    redactor.Write(text.substr(0, size), output);
    text.remove_prefix(std::min(size, text.size()));
  }
  redactor.Finish(output);
  Require(redactor.held() == 0);
  return output;
}

// What is put beside a replacement in JSON must not be part of a value.
bool IsPlain(const std::vector<NamedValue>& values) {
  for (const NamedValue& value : values) {
    if (value.value.find_first_of("\"\\0ucd[]") != absl::string_view::npos) return false;
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const bool as_json = (data[0] & 1) != 0;
  const absl::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::vector<absl::string_view> parts = absl::StrSplit(input, '\xfe');
  std::string text(parts.back().substr(0, kMaxTextBytes));
  parts.pop_back();
  std::vector<NamedValue> values;
  for (const absl::string_view part : parts) {
    if (values.size() < kMaxValues)
      values.push_back({absl::StrCat("V", values.size()), part.substr(0, kMaxValueBytes)});
  }
  if (!as_json) {
    // One line that is not taken for JSON.
    text.insert(0, "x");
    for (char& c : text) c = c == '\n' ? ' ' : c;
  }

  const std::string whole = Redact(values, text, 0);
  Require(Redact(values, text, 1 + data[0]) == whole);
  if (FindReference(values, text).empty()) Require(whole == text);
  if (!as_json) Require(whole == RedactReference(values, text));
  if (!IsPlain(values)) return 0;
  std::string rest = whole;
  for (size_t i = 0; i < values.size(); ++i) {
    std::vector<std::string> pieces = absl::StrSplit(rest, absl::StrCat("[keyferry:V", i, "]"));
    rest = absl::StrJoin(pieces, "\xf8\n\xf8");
  }
  Require(FindReference(values, rest).empty());
  return 0;
}
