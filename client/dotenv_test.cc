#include "client/dotenv.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace keyferry::client {
namespace {

// "NAME=value|" for each entry, or the error.
std::string Read(const std::string& text) {
  const auto entries = ParseDotenv(text, "f");
  if (!entries.ok()) return std::string(entries.status().message());
  std::string shown;
  for (const DotenvEntry& entry : *entries) shown += entry.name + "=" + std::string(entry.value.Expose()) + "|";
  return shown;
}

TEST(DotenvTest, ReadsWhatAllReadersReadAlike) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", ""},
      {"\n\r\n  \n# A=1\n\t# B=2", ""},
      {"A=1", "A=1|"},
      {"A=1\nB=2\n", "A=1|B=2|"},
      {"A=1\r\nB=2\r\n", "A=1|B=2|"},
      {"\xef\xbb\xbf"
       "A=1",
       "A=1|"},
      {"  A=1  ", "A=1|"},
      {"export A=1\n\texport \t B=2", "A=1|B=2|"},
      {"export=1", "export=1|"},
      {"A=two words\t \n", "A=two words|"},
      {"A=x # note", "A=x|"},
      {"A=x#y", "A=x#y|"},
      {"A=#x", "A=#x|"},
      {"A=a=b==", "A=a=b==|"},
      {"A=\xff\x80\x01!%&*()", "A=\xff\x80\x01!%&*()|"},
      {"A=a\rb", "A=a\rb|"},
      {"A='raw $x `y` \\n \"z\" # no comment'", "A=raw $x `y` \\n \"z\" # no comment|"},
      {"A='two\nlines\r\nkept' # note\nB=2", "A=two\nlines\r\nkept|B=2|"},
      {"A=\"a\\nb\\r\\t\\\\ \\\" \\$ \\` ' # x\"", "A=a\nb\r\t\\ \" $ ` ' # x|"},
      {"A=\"two\nlines\"  \r\nB='2'\t# c", "A=two\nlines|B=2|"},
      {"A=' '", "A= |"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(Read(text), expected) << text;
}

TEST(DotenvTest, RefusesTheRestNamingThePlaceAndNothingOfAValue) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"A", "f:1:2: `=` must follow the name; write NAME=VALUE"},
      {"\nA =sekrit", "f:2:2: no blank may stand before `=`"},
      {"A= sekrit", "f:1:3: no blank may stand after `=`; quote the value if it begins with one"},
      {"sekrit-1 B=2", "f:1:7: `=` must follow the name; write NAME=VALUE"},
      {"1A=sekrit", "f:1:1: not the name of a variable; write NAME=VALUE"},
      {"=sekrit", "f:1:1: not the name of a variable; write NAME=VALUE"},
      {"export =sekrit", "f:1:8: not the name of a variable; write NAME=VALUE"},
      {"A.B=sekrit", "f:1:2: `=` must follow the name; write NAME=VALUE"},
      {"\xc3\x89=sekrit", "f:1:1: not the name of a variable; write NAME=VALUE"},
      {"A=", "f:1:3: the value is empty; a credential has at least one byte"},
      {"A=\nB=sekrit", "f:1:3: the value is empty; a credential has at least one byte"},
      {"A=''", "f:1:3: the value is empty; a credential has at least one byte"},
      {"A= # note", "f:1:3: no blank may stand after `=`; quote the value if it begins with one"},
      {"A=1\nB=2\n  A=sekrit", "f:3:3: A is given twice; first on line 1"},
      {"A='sek\nrit\nB=1", "f:1:3: the quote is not closed"},
      {"A=\"sekrit\\\"", "f:1:3: the quote is not closed"},
      {"A=\"sekrit\\", "f:1:3: the quote is not closed"},
      {"A='x'sekrit", "f:1:6: only a comment may follow the closing quote"},
      {"A='x'# c", "f:1:6: only a comment may follow the closing quote"},
      {"A=\"x\" 'sekrit'", "f:1:7: only a comment may follow the closing quote"},
      {"A=\"sek\\xrit\"", "f:1:7: not an escape; known are \\n \\r \\t \\\\ \\\" \\$ \\`"},
      {"A=\"sek\n$rit\"",
       "f:2:1: $ and ` between double quotes need a \\ before them, or single quotes around the value"},
      {"A=\"sek`rit\"",
       "f:1:7: $ and ` between double quotes need a \\ before them, or single quotes around the value"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(Read(text), expected) << text;
  for (const char c : {'$', '`', '\\', '\'', '"'}) {
    EXPECT_EQ(Read(std::string("A=sek") + c + "rit"),
              "f:1:6: $, `, \\ and quotes need a value between single quotes: readers of such files differ in them");
  }
  EXPECT_EQ(Read(std::string("A=1\nB=\0", 7)), "f:2:3: a NUL byte");
  EXPECT_EQ(Read(std::string(129, 'A') + "=1"), "f:1:1: a name of more than 128 bytes");
  EXPECT_EQ(Read(std::string(128, 'A') + "=1"), std::string(128, 'A') + "=1|");
}

TEST(DotenvTest, ValuesHaveUpTo64KiB) {
  const std::string most(kMaxCredentialValueBytes, 'x');
  for (const char* quote : {"", "'", "\""}) {
    EXPECT_EQ(Read("A=" + (quote + most + quote)), "A=" + most + "|");
    EXPECT_EQ(Read("A=" + (quote + most + "x" + quote)), "f:1:3: the value is longer than 64 KiB");
  }
}

TEST(DotenvTest, EntriesSayWhereTheyStand) {
  const auto entries = ParseDotenv("A='1\n2'\n\n  export  B=3\n", "f");
  ASSERT_TRUE(entries.ok());
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ((*entries)[0].line, 1);
  EXPECT_EQ((*entries)[1].line, 4);
  EXPECT_EQ((*entries)[1].column, 11);
}

}  // namespace
}  // namespace keyferry::client
