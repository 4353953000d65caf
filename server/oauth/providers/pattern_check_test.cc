#include "server/oauth/providers/pattern_check.h"

#include <string>

#include "gtest/gtest.h"
#include "re2/re2.h"

namespace keyferry::server {
namespace {

TEST(PatternCheckTest, GoodPatterns) {
  for (const char* pattern : {"", "[A-Za-z0-9-]+", "[a-z]{2,3}", "(eu|us)\\d*", "(?:a|b)+", "acme\\.example", "\\w+",
                              "[[:alnum:]_-]+", "^[a-z]+$", "[]a]", "[a\\-z]", "a|b|", "[\\w.-]{1,63}", "x{2}"}) {
    EXPECT_TRUE(CheckVariablePattern(pattern, "f").ok()) << pattern;
  }
}

TEST(PatternCheckTest, PatternsThatMatchWhatChangesAUrl) {
  for (const char* pattern :
       {".",           ".*",          "[^a]",         "[^/]+",    "a/b",       "a?/",    "[/]",
        "[!-~]+",      "\\/",         "\\x2f",        "[\\x2f]",  "\\S+",      "\\D",    "\\W",
        "[[:punct:]]", "[[:print:]]", "[[:^alpha:]]", "a@b",      "a:b",       "a#b",    "\\?",
        "a b",         "\\s",         "[\\s]",        "\\\\",     "[\\\\]",    "(a|/)",  "(?i)a",
        "(?s:.)",      "(?P<n>a)",    "\\Q/\\E",      "\\C",      "\\pP",      "\\p{L}", "[\\p{P}]",
        "\\n",         "[\\n]",       "\t",           "a{",       "{2}",       "a{1,b}", "[a",
        "(",           "*",           "\\",           "\xc3\xa9", "[\\x{2f}]", "[.-9]",  "\\057"}) {
    EXPECT_FALSE(CheckVariablePattern(pattern, "f").ok()) << pattern;
  }
  EXPECT_FALSE(CheckVariablePattern(std::string("a\0b", 3), "f").ok());
  EXPECT_FALSE(CheckVariablePattern(std::string(257, 'a'), "f").ok());
  EXPECT_TRUE(CheckVariablePattern(std::string(256, 'a'), "f").ok());
  EXPECT_FALSE(CheckVariablePattern("(((a{100}){100}){100}){10}", "f").ok()) << "compiles to too much";
}

// Patterns made of random pieces: what is accepted matches no text with a forbidden character.
TEST(PatternCheckTest, NothingAcceptedMatchesForbiddenText) {
  const std::string pieces[] = {"a",    "[a-z]", "[^a]", ".",   "\\d",       "\\D", "\\/", "/",     "(",
                                ")",    "|",     "*",    "+",   "?",         "[",   "]",   "^",     "$",
                                "{",    "2}",    "(?:",  "-",   "[:alpha:]", "\\w", "\\",  "[]-z]", "[\\]",
                                "[!-]", "@",     ":",    "\\.", "[.",        "#]",  "(?i"};
  uint64_t state = 20260824;
  const auto next = [&state](size_t bound) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<size_t>(state >> 33) % bound;
  };
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string pattern;
    for (size_t n = next(6) + 1; n > 0; --n) pattern += pieces[next(std::size(pieces))];
    if (!CheckVariablePattern(pattern, "f").ok()) continue;
    ++accepted;
    for (const char* text : {"/", "?", "#", "@", ":", "\\", " ", "\n", "a/", "/a", "a/a", "a@a", "aa:2", "2#", "-?-"}) {
      EXPECT_FALSE(MatchesVariable(pattern.empty() ? "[^\\x00]*" : pattern, text)) << pattern << " matches " << text;
    }
  }
  EXPECT_GT(accepted, 500);
}

TEST(PatternCheckTest, ValuesMatchAsAWhole) {
  EXPECT_TRUE(MatchesVariable("", "my-shop1"));
  EXPECT_FALSE(MatchesVariable("", ""));
  EXPECT_FALSE(MatchesVariable("", "my.shop"));
  EXPECT_FALSE(MatchesVariable("", "shop\n"));
  EXPECT_TRUE(MatchesVariable("eu|us", "eu"));
  EXPECT_FALSE(MatchesVariable("eu|us", "eux"));
  EXPECT_FALSE(MatchesVariable("(", "("));
}

}  // namespace
}  // namespace keyferry::server
