#include "injector/redact/reference.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace keyferry::injector {
namespace {

// What a part of a text may stand for.
struct Piece {
  std::string decoded;
  size_t size = 0;
  // Only for a byte that belongs to no character.
  bool stray = false;
  // How many backslashes begin the escape.
  size_t run = 0;
};

bool IsHexText(absl::string_view text, size_t size) {
  return text.size() >= size && std::all_of(text.begin(), text.begin() + size, absl::ascii_isxdigit);
}

std::string Utf8(uint32_t code) {
  const auto tail = [code](int shift) { return static_cast<char>(0x80 | (code >> shift & 0x3f)); };
  if (code < 0x80) return {static_cast<char>(code)};
  if (code < 0x800) return {static_cast<char>(0xc0 | code >> 6), tail(0)};
  if (code < 0x10000) return {static_cast<char>(0xe0 | code >> 12), tail(6), tail(0)};
  return {static_cast<char>(0xf0 | code >> 18), tail(12), tail(6), tail(0)};
}

bool IsValidUtf8(absl::string_view text) {
  if (text.size() < 2) return false;
  uint32_t code = static_cast<unsigned char>(text[0]) & (0x7f >> text.size());
  for (const char c : text.substr(1)) code = code << 6 | (static_cast<unsigned char>(c) & 0x3f);
  return code >= 0x80 && code < 0x110000 && (code < 0xd800 || code >= 0xe000) && Utf8(code) == text;
}

bool IsStray(absl::string_view value, size_t at) {
  for (size_t begin = at < 3 ? 0 : at - 3; begin <= at; ++begin) {
    for (size_t size = at - begin + 1; size <= 4; ++size) {
      if (begin + size <= value.size() && IsValidUtf8(value.substr(begin, size))) return false;
    }
  }
  return true;
}

bool ReadUnicode(absl::string_view text, size_t run, uint32_t* code) {
  const absl::string_view rest = text.substr(std::min(text.size(), run));
  if (text.substr(0, run) != std::string(run, '\\') || !absl::StartsWith(rest, "u") || !IsHexText(rest.substr(1), 4)) {
    return false;
  }
  *code = static_cast<uint32_t>(std::stoul(std::string(rest.substr(1, 4)), nullptr, 16));
  return true;
}

void AddUnicode(absl::string_view text, size_t run, std::vector<Piece>& pieces) {
  uint32_t code = 0;
  uint32_t low = 0;
  if ((run != 1 && run != 2 && run != 4) || !ReadUnicode(text, run, &code)) return;
  if (code >= 0xd800 && code < 0xdc00) {
    if (!ReadUnicode(text.substr(run + 5), run, &low) || low < 0xdc00 || low >= 0xe000) return;
    pieces.push_back({Utf8(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)), 2 * (run + 5), false, run});
    return;
  }
  if (code < 0xd800 || code >= 0xe000) pieces.push_back({Utf8(code), run + 5, false, run});
  if (code >= 0x80 && code < 0x100) pieces.push_back({{static_cast<char>(code)}, run + 5, true, run});
  if (code >= 0xdc80 && code < 0xdd00) pieces.push_back({{static_cast<char>(code - 0xdc00)}, run + 5, true, run});
}

// Escapes that the text may begin with, JSON's and percent-encoding.
std::vector<Piece> ReadEscapes(absl::string_view text) {
  std::vector<Piece> pieces;
  if (text[0] == '+') pieces.push_back({" ", 1, false, 0});
  if (text[0] == '%' && IsHexText(text.substr(1), 2)) {
    pieces.push_back({absl::HexStringToBytes(std::string(text.substr(1, 2))), 3, false, 0});
  }
  const size_t run = std::min(text.find_first_not_of('\\'), text.size());
  if (run == 0 || run == text.size()) return pieces;
  const bool letter_run = run == 1 || run == 2 || run == 4;
  const size_t letter = absl::string_view("bfnrt").find(text[run]);
  if (letter != absl::string_view::npos && letter_run) pieces.push_back({{"\b\f\n\r\t"[letter]}, run + 1, false, run});
  if (text[run] == '"' && (run == 1 || run == 3 || run == 7)) pieces.push_back({"\"", run + 1, false, run});
  if (text[run] == '/' && run <= 3) pieces.push_back({"/", run + 1, false, run});
  AddUnicode(text, run, pieces);
  return pieces;
}

struct Dialect {
  size_t backslashes;
  bool percent;
};

std::vector<Piece> ReadText(absl::string_view text, const Dialect& dialect) {
  std::vector<Piece> pieces;
  for (const Piece& piece : ReadEscapes(text)) {
    if (piece.decoded.size() == 1 && absl::ascii_isalnum(static_cast<unsigned char>(piece.decoded[0]))) continue;
    // A run of backslashes that is the value's own begins no escape of one.
    if (piece.decoded == "\\" && piece.run * 2 > dialect.backslashes) continue;
    if (piece.decoded == "%" && text[0] == '%' && !dialect.percent) continue;
    pieces.push_back(piece);
  }
  if (text[0] != '\\' && (text[0] != '%' || !dialect.percent)) pieces.push_back({std::string(text.substr(0, 1)), 1});
  const std::string backslash(dialect.backslashes, '\\');
  if (absl::StartsWith(text, backslash)) pieces.push_back({"\\", backslash.size()});
  return pieces;
}

// The ends of all texts that stand for the value.
void AddTextEnds(absl::string_view value, absl::string_view text, const Dialect& dialect, std::set<size_t>& ends) {
  std::set<std::pair<size_t, size_t>> open = {{0, 0}};
  while (!open.empty()) {
    const auto [done, at] = *open.begin();
    open.erase(open.begin());
    if (done == value.size()) {
      ends.insert(at);
      continue;
    }
    if (at == text.size()) continue;
    for (const Piece& piece : ReadText(text.substr(at), dialect)) {
      if (!absl::StartsWith(value.substr(done), piece.decoded)) continue;
      if (piece.stray && !IsStray(value, done)) continue;
      open.insert({done + piece.decoded.size(), at + piece.size});
    }
  }
}

size_t LineBreakSize(absl::string_view text) {
  for (const absl::string_view line_break : {"\r\n", "\n", "\\r\\n", "\\n", "\\\\r\\\\n", "\\\\n"}) {
    if (absl::StartsWith(text, line_break)) return line_break.size();
  }
  return 0;
}

// The code of the base64 digit that the text begins with, -1 if there is none.
int ReadDigit(absl::string_view text, size_t* size) {
  static constexpr absl::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  if (text.empty()) return -1;
  *size = 1;
  if (text[0] == '-') return 62;
  if (text[0] == '_') return 63;
  if (kDigits.find(text[0]) != absl::string_view::npos) return static_cast<int>(kDigits.find(text[0]));
  for (const Piece& piece : ReadEscapes(text)) {
    const bool deep_unicode = piece.run > 1 && text[piece.run] == 'u';
    if ((piece.decoded != "+" && piece.decoded != "/") || deep_unicode) continue;
    *size = piece.size;
    return piece.decoded == "+" ? 62 : 63;
  }
  return -1;
}

void AddBase64Ends(absl::string_view value, absl::string_view text, size_t shift, std::set<size_t>& ends) {
  std::string bits;
  size_t at = 0;
  for (size_t digit = 0; bits.size() < 2 * shift + 8 * value.size(); ++digit) {
    if (digit >= 8) at += LineBreakSize(text.substr(at));
    size_t size = 0;
    const int code = ReadDigit(text.substr(at), &size);
    if (code < 0) return;
    for (int bit = 5; bit >= 0; --bit) bits += (code >> bit & 1) != 0 ? '1' : '0';
    at += size;
  }
  for (size_t i = 0; i < 8 * value.size(); ++i) {
    if (bits[2 * shift + i] != "01"[static_cast<unsigned char>(value[i / 8]) >> (7 - i % 8) & 1]) return;
  }
  ends.insert(at);
}

std::set<size_t> Ends(absl::string_view value, absl::string_view text) {
  std::set<size_t> ends;
  for (const size_t backslashes : {1, 2, 4}) {
    if (backslashes > 1 && !absl::StrContains(value, '\\')) break;
    for (const bool percent : {false, true}) {
      if (!percent || absl::StrContains(value, '%')) AddTextEnds(value, text, {backslashes, percent}, ends);
    }
  }
  for (const size_t shift : {0, 1, 2}) AddBase64Ends(value, text, shift, ends);
  if (IsHexText(text, 2 * value.size()) &&
      absl::HexStringToBytes(std::string(text.substr(0, 2 * value.size()))) == value) {
    ends.insert(2 * value.size());
  }
  return ends;
}

}  // namespace

std::vector<ReferenceMatch> FindReference(const std::vector<NamedValue>& values, absl::string_view text) {
  std::vector<ReferenceMatch> matches;
  size_t longest = 0;
  for (size_t begin = 0; begin < text.size(); ++begin) {
    for (const NamedValue& value : values) {
      if (value.value.size() < kMinRedactedBytes) continue;
      for (const size_t size : Ends(value.value, text.substr(begin))) {
        if (matches.empty() || begin >= matches.back().end) {
          matches.push_back({begin, begin, ""});
          longest = 0;
        }
        ReferenceMatch& match = matches.back();
        match.end = std::max(match.end, begin + size);
        if (size <= longest) continue;
        longest = size;
        match.name = value.name;
      }
    }
  }
  return matches;
}

std::string RedactReference(const std::vector<NamedValue>& values, absl::string_view text) {
  std::string output;
  size_t done = 0;
  for (const ReferenceMatch& match : FindReference(values, text)) {
    absl::StrAppend(&output, text.substr(done, match.begin - done), "[keyferry:", match.name, "]");
    done = match.end;
  }
  absl::StrAppend(&output, text.substr(done));
  return output;
}

}  // namespace keyferry::injector
