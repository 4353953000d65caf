#include "server/oauth/providers/pattern_check.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "re2/re2.h"
#include "server/errors.h"

namespace keyferry::server {
namespace {

constexpr size_t kMaxPatternBytes = 256;
constexpr int64_t kMaxCompiledBytes = 256 << 10;
// And the control characters.
constexpr absl::string_view kForbidden = "/?#@:\\ ";

re2::StringPiece Piece(absl::string_view text) { return re2::StringPiece(text.data(), text.size()); }

re2::RE2::Options PatternOptions() {
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxCompiledBytes);
  options.set_never_capture(true);
  options.set_dot_nl(true);
  return options;
}

// The length of the bracket expression at the start; 0 if it does not end.
size_t ClassLength(absl::string_view text) {
  size_t at = 1;
  if (at < text.size() && text[at] == '^') ++at;
  // A bracket at the beginning stands for itself.
  if (at < text.size() && text[at] == ']') ++at;
  while (at < text.size() && text[at] != ']') {
    if (absl::StartsWith(text.substr(at), "[:")) {
      const size_t end = text.find(":]", at + 2);
      if (end == absl::string_view::npos) return 0;
      at = end + 2;
      continue;
    }
    at += text[at] == '\\' ? 2 : 1;
  }
  return at < text.size() ? at + 1 : 0;
}

// The length of the escape at the start; 0 for those that do not stand for one character out of a set.
size_t EscapeLength(absl::string_view text) {
  if (text.size() < 2) return 0;
  const auto c = static_cast<unsigned char>(text[1]);
  if (absl::ascii_ispunct(c) || absl::string_view("dDwWsS").find(text[1]) != absl::string_view::npos) return 2;
  return 0;
}

bool MatchesForbidden(absl::string_view part) {
  const re2::RE2 compiled(Piece(part), PatternOptions());
  if (!compiled.ok()) return true;
  for (int c = 0; c < 128; ++c) {
    const char text = static_cast<char>(c);
    const bool forbidden =
        absl::ascii_iscntrl(static_cast<unsigned char>(c)) || kForbidden.find(text) != absl::string_view::npos;
    if (forbidden && re2::RE2::FullMatch(re2::StringPiece(&text, 1), compiled)) return true;
  }
  return false;
}

// How much of the pattern is its next part, and whether that matches a character. Length 0: it is refused.
struct Part {
  size_t length = 0;
  bool matches_character = false;
};

Part NextPart(absl::string_view rest) {
  switch (rest[0]) {
    case '\\':
      return {EscapeLength(rest), true};
    case '[':
      return {ClassLength(rest), true};
    case '(':
      if (!absl::StartsWith(rest, "(?")) return {1, false};
      return {size_t{absl::StartsWith(rest, "(?:") ? 3u : 0u}, false};
    case '{': {
      // A repetition, or else a brace that stands for itself: it is refused, so that both read alike.
      const size_t end = rest.find('}');
      if (end == absl::string_view::npos || end == 1) return {};
      for (const char c : rest.substr(1, end - 1)) {
        if (!absl::ascii_isdigit(static_cast<unsigned char>(c)) && c != ',') return {};
      }
      return {end + 1, false};
    }
    case ')':
    case '|':
    case '*':
    case '+':
    case '?':
    case '^':
    case '$':
      return {1, false};
    default:
      return {size_t{absl::ascii_isprint(static_cast<unsigned char>(rest[0])) ? 1u : 0u}, true};
  }
}

}  // namespace

absl::Status CheckVariablePattern(absl::string_view pattern, absl::string_view field) {
  if (pattern.size() > kMaxPatternBytes) return InvalidField(field, "longer than 256 bytes", "Shorten it.");
  if (!re2::RE2(Piece(pattern), PatternOptions()).ok()) {
    return InvalidField(field, "not a regular expression that RE2 takes", "Send one like `[a-z0-9-]+`.");
  }
  for (absl::string_view rest = pattern; !rest.empty();) {
    const Part part = NextPart(rest);
    if (part.length == 0 || part.length > rest.size()) {
      return InvalidField(field, "uses a form that is not taken here",
                          "Use characters, `[...]`, `\\d`, `\\w`, `(...)`, `|` and repetitions.");
    }
    if (part.matches_character && MatchesForbidden(rest.substr(0, part.length))) {
      return InvalidField(field, "matches `/`, `?`, `#`, `@`, `:`, a backslash, a space or a control character",
                          "Name the characters that a value may hold, e.g. `[a-z0-9-]+`.");
    }
    rest.remove_prefix(part.length);
  }
  return absl::OkStatus();
}

bool MatchesVariable(absl::string_view pattern, absl::string_view value) {
  const re2::RE2 compiled(Piece(pattern.empty() ? kDefaultVariablePattern : pattern), PatternOptions());
  return compiled.ok() && re2::RE2::FullMatch(Piece(value), compiled);
}

}  // namespace keyferry::server
