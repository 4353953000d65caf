// Random texts, made of pieces of values in random spellings, against the reference.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "injector/redact/redactor.h"
#include "injector/redact/reference.h"

namespace keyferry::injector {
namespace {

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}

  size_t Below(size_t count) { return random_() % count; }

  // Few different bytes, so that values overlap, contain and repeat one another.
  std::string Value() {
    static const std::vector<std::string> kAlphabets = {"ab",
                                                        "a\\n",
                                                        "a%25",
                                                        "/+-_a",
                                                        " +a.",
                                                        "\\/u0",
                                                        "n\n\t\\",
                                                        std::string("\xc3\xa9\xe2\x82\xac\xff\x80z"),
                                                        "\xf0\x9f\x98\x80q",
                                                        "\"\\x",
                                                        "\x01\x7f&<>'",
                                                        "Zm9v"};
    std::string value;
    const std::string& alphabet = kAlphabets[Below(kAlphabets.size())];
    for (size_t size = 6 + Below(10); value.size() < size;) value += alphabet[Below(alphabet.size())];
    return value;
  }

  std::string Spelled(absl::string_view value) {
    switch (Below(8)) {
      case 0:
        return MaybeUpper(absl::BytesToHexString(value));
      case 1:
        return Base64(value);
      case 2:
        return std::string(value);
      default:
        return Escaped(value, Below(4), Below(2) == 0);
    }
  }

  // Parts of values in forms that are mixed and cut.
  std::string Text(const std::vector<NamedValue>& values) {
    std::string text = "x";
    for (size_t parts = Below(6); parts > 0; --parts) {
      std::string part = Spelled(values[Below(values.size())].value);
      if (Below(3) == 0 && !part.empty()) part.erase(Below(part.size()), 1 + Below(3));
      if (Below(4) == 0 && !part.empty()) part.resize(Below(part.size()));
      absl::StrAppend(&text, part, Below(2) == 0 ? "" : std::string(1 + Below(4), "a\\/n% "[Below(6)]));
    }
    return text;
  }

 private:
  std::string MaybeUpper(std::string text) {
    for (char& c : text) {
      if (Below(2) == 0) c = absl::ascii_toupper(c);
    }
    return text;
  }

  std::string Base64(absl::string_view value) {
    const std::string before(Below(3), 'k');
    const std::string whole = absl::StrCat(before, value, std::string(Below(3), 'q'));
    const std::string text = Below(2) == 0 ? absl::Base64Escape(whole) : absl::WebSafeBase64Escape(whole);
    if (Below(3) != 0) return text;
    const size_t at = Below(text.size());
    const char* const breaks[] = {"\\n", "\\r\\n", "\\\\n", "\r\n"};
    return absl::StrCat(text.substr(0, at), breaks[Below(4)], text.substr(at));
  }

  std::string Escaped(absl::string_view value, size_t depth, bool percent) {
    std::string text;
    for (const char c : value) {
      const auto byte = static_cast<unsigned char>(c);
      if (percent && !absl::ascii_isalnum(byte) && Below(2) == 0) {
        absl::StrAppend(&text, "%", MaybeUpper(absl::BytesToHexString(std::string(1, c))));
      } else if (byte >= 0x80 && Below(3) == 0) {
        absl::StrAppend(&text, Below(2) == 0 ? "\\u00" : "\\udc", absl::BytesToHexString(std::string(1, c)));
      } else {
        text += c;
      }
    }
    for (; depth > 0; --depth) text = Json(text);
    return text;
  }

  std::string Json(absl::string_view text) {
    std::string json;
    for (size_t i = 0; i < text.size(); ++i) {
      const char c = text[i];
      const size_t control = absl::string_view("\b\f\n\r\t").find(c);
      if (c == '"' || c == '\\' || (c == '/' && Below(2) == 0)) {
        absl::StrAppend(&json, "\\", text.substr(i, 1));
      } else if (control != absl::string_view::npos) {
        absl::StrAppend(&json, "\\", std::string(1, "bfnrt"[control]));
      } else if (absl::StartsWith(text.substr(i), "\xc3\xa9") && Below(2) == 0) {
        absl::StrAppend(&json, "\\u00", MaybeUpper("e9"));
        ++i;
      } else if (absl::StartsWith(text.substr(i), "\xf0\x9f\x98\x80") && Below(2) == 0) {
        absl::StrAppend(&json, "\\u", MaybeUpper("d83d"), "\\u", MaybeUpper("de00"));
        i += 3;
      } else {
        json += c;
      }
    }
    return json;
  }

  std::mt19937 random_;
};

std::string Redact(const std::vector<NamedValue>& values, absl::string_view text, Generator* chunks) {
  Redactor redactor(PatternSet::Compile(values));
  std::string output;
  while (!text.empty()) {
    const size_t size = chunks == nullptr ? text.size() : 1 + chunks->Below(text.size());
    redactor.Write(text.substr(0, size), output);
    text.remove_prefix(size);
  }
  redactor.Finish(output);
  EXPECT_EQ(redactor.held(), 0u);
  return output;
}

TEST(RedactorProperty, AgreesWithTheReference) {
  size_t found = 0;
  for (uint32_t seed = 1; seed <= 3000; ++seed) {
    Generator generator(seed);
    std::vector<std::string> owned(1 + generator.Below(4));
    std::vector<NamedValue> values;
    for (std::string& value : owned) {
      value = generator.Value();
      values.push_back({absl::StrCat("V", values.size()), value});
    }
    std::string text = generator.Text(values);
    // No line is to be taken for JSON.
    for (size_t at = 0; (at = text.find("\n\"", at)) != std::string::npos;) text.insert(at + 1, "x");
    const std::string expected = RedactReference(values, text);
    found += expected != text ? 1 : 0;
    ASSERT_EQ(Redact(values, text, nullptr), expected) << "seed " << seed << " " << absl::CEscape(text);
    ASSERT_EQ(Redact(values, text, &generator), expected) << "seed " << seed << " in pieces";
  }
  EXPECT_GT(found, 1000u);
}

}  // namespace
}  // namespace keyferry::injector
