#include "client/utf8.h"

#include <string>

#include "gtest/gtest.h"

namespace keyferry::client {
namespace {

// The encoding of RFC 3629, section 3, for any number below 2^21.
std::string Encode(unsigned int code) {
  const auto tail = [code](int shift) { return static_cast<char>(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) return {static_cast<char>(code)};
  if (code < 0x800) return {static_cast<char>(0xc0 | code >> 6), tail(0)};
  if (code < 0x10000) return {static_cast<char>(0xe0 | code >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xf0 | code >> 18), tail(12), tail(6), tail(0)};
}

TEST(Utf8Test, EveryNumberIsACharacterOrIsNot) {
  for (unsigned int code = 0; code < 1u << 21; ++code) {
    const bool valid = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
    ASSERT_EQ(FindInvalidUtf8(Encode(code)) == absl::string_view::npos, valid) << code;
  }
}

TEST(Utf8Test, SaysWhere) {
  const struct {
    const char* text;
    size_t expected;
  } kCases[] = {
      {"", absl::string_view::npos},
      {"a\x80", 1},
      {"ab\xc0\x80", 2},
      {"\xe2\x82", 0},
      {"\xe2\x82\xac\xe2\x82", 3},
      {"\xe0\x9f\xbf", 0},
      {"\xf0\x8f\xbf\xbf", 0},
      {"\xc3(", 0},
      {"\xff", 0},
  };
  for (const auto& test : kCases) EXPECT_EQ(FindInvalidUtf8(test.text), test.expected);
}

}  // namespace
}  // namespace keyferry::client
