#include "client/dotenv.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace keyferry::client {
namespace {

constexpr size_t kMaxNameBytes = 128;
constexpr absl::string_view kByteOrderMark = "\xef\xbb\xbf";

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

// The character that `\c` stands for between double quotes, or NUL if it stands for none.
char Unescaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case '\\':
    case '"':
    case '$':
    case '`':
      return c;
    default:
      return '\0';
  }
}

class Reader {
 public:
  Reader(absl::string_view text, absl::string_view file_name) : text_(text), file_name_(file_name) {}

  absl::StatusOr<std::vector<DotenvEntry>> Run() {
    if (const size_t nul = text_.find('\0'); nul != absl::string_view::npos) return At(nul, "a NUL byte");
    if (absl::StartsWith(text_, kByteOrderMark)) at_ = kByteOrderMark.size();
    std::vector<DotenvEntry> entries;
    std::map<std::string, int> lines;
    for (SkipToEntry(); at_ < text_.size(); SkipToEntry()) {
      DotenvEntry entry;
      absl::Status status = Name(&entry);
      if (status.ok()) status = Value(&entry.value);
      if (!status.ok()) return status;
      const auto [known, added] = lines.emplace(entry.name, entry.line);
      if (!added) {
        return FileError(file_name_, entry.line, entry.column,
                         absl::StrCat(entry.name, " is given twice; first on line ", known->second));
      }
      entries.push_back(std::move(entry));
    }
    return entries;
  }

 private:
  char Peek() const { return at_ < text_.size() ? text_[at_] : '\n'; }
  bool AtLineEnd(size_t at) const {
    return at >= text_.size() || text_[at] == '\n' ||
           (text_[at] == '\r' && at + 1 < text_.size() && text_[at + 1] == '\n');
  }
  void SkipBlanks() {
    while (at_ < text_.size() && IsBlank(text_[at_])) ++at_;
  }
  void SkipLine() {
    while (at_ < text_.size() && text_[at_] != '\n') ++at_;
  }

  absl::Status At(size_t offset, absl::string_view problem) const {
    const absl::string_view before = text_.substr(0, offset);
    const size_t line_start = before.rfind('\n') == absl::string_view::npos ? 0 : before.rfind('\n') + 1;
    return FileError(file_name_, static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
                     static_cast<int>(offset - line_start) + 1, problem);
  }

  // To the next byte that is neither blank, nor a line's end, nor in a comment.
  void SkipToEntry() {
    for (;;) {
      SkipBlanks();
      if (at_ < text_.size() && text_[at_] == '#') SkipLine();
      if (at_ >= text_.size() || !AtLineEnd(at_)) return;
      at_ += text_[at_] == '\r' ? 2 : 1;
    }
  }

  absl::string_view Word() {
    const size_t start = at_;
    while (at_ < text_.size() && (absl::ascii_isalnum(text_[at_]) || text_[at_] == '_')) ++at_;
    return text_.substr(start, at_ - start);
  }

  // The name and its `=`. What is no name is not shown, since it may be part of a value.
  absl::Status Name(DotenvEntry* entry) {
    size_t start = at_;
    absl::string_view word = Word();
    if (word == "export" && at_ < text_.size() && IsBlank(text_[at_])) {
      SkipBlanks();
      start = at_;
      word = Word();
    }
    if (!IsVariableName(word)) {
      return At(start, word.size() > kMaxNameBytes ? "a name of more than 128 bytes"
                                                   : "not the name of a variable; write NAME=VALUE");
    }
    if (Peek() != '=') {
      return At(at_, IsBlank(Peek()) ? "no blank may stand before `=`" : "`=` must follow the name; write NAME=VALUE");
    }
    CountLines(start);
    entry->name = std::string(word);
    entry->line = line_;
    entry->column = static_cast<int>(start - line_start_) + 1;
    ++at_;
    return absl::OkStatus();
  }

  // Moves the line count to `offset`, which only grows.
  void CountLines(size_t offset) {
    for (; counted_ < offset; ++counted_) {
      if (text_[counted_] != '\n') continue;
      ++line_;
      line_start_ = counted_ + 1;
    }
  }

  absl::Status Value(SecretText* value) {
    const size_t start = at_;
    absl::Status status;
    if (Peek() == '\'') {
      status = SingleQuoted(value);
    } else if (Peek() == '"') {
      status = DoubleQuoted(value);
    } else {
      status = Unquoted(value);
    }
    if (!status.ok()) return status;
    if (value->empty()) return At(start, "the value is empty; a credential has at least one byte");
    if (value->size() > kMaxCredentialValueBytes) return At(start, "the value is longer than 64 KiB");
    return absl::OkStatus();
  }

  absl::Status Unquoted(SecretText* value) {
    const size_t start = at_;
    if (IsBlank(Peek())) return At(at_, "no blank may stand after `=`; quote the value if it begins with one");
    size_t end = start;
    for (; !AtLineEnd(at_); ++at_) {
      const char c = text_[at_];
      if (c == '#' && at_ > start && IsBlank(text_[at_ - 1])) break;
      if (c == '$' || c == '`' || c == '\\' || c == '\'' || c == '"') {
        return At(at_, "$, `, \\ and quotes need a value between single quotes: readers of such files differ in them");
      }
      if (!IsBlank(c)) end = at_ + 1;
    }
    SkipLine();
    *value = Copy(text_.substr(start, end - start));
    return absl::OkStatus();
  }

  absl::Status SingleQuoted(SecretText* value) {
    const size_t start = at_ + 1;
    const size_t end = text_.find('\'', start);
    if (end == absl::string_view::npos) return At(at_, "the quote is not closed");
    at_ = end + 1;
    *value = Copy(text_.substr(start, end - start));
    return AfterQuote();
  }

  absl::Status DoubleQuoted(SecretText* value) {
    const size_t start = at_ + 1;
    size_t end = start;
    while (end < text_.size() && text_[end] != '"') end += text_[end] == '\\' ? 2 : 1;
    if (end >= text_.size()) return At(at_, "the quote is not closed");
    *value = SecretText(end - start);
    size_t size = 0;
    for (size_t i = start; i < end; ++i) {
      char c = text_[i];
      if (c == '$' || c == '`') {
        return At(i, "$ and ` between double quotes need a \\ before them, or single quotes around the value");
      }
      if (c == '\\') {
        c = Unescaped(text_[++i]);
        if (c == '\0') return At(i - 1, "not an escape; known are \\n \\r \\t \\\\ \\\" \\$ \\`");
      }
      value->ExposeMutable()[size++] = c;
    }
    value->Truncate(size);
    at_ = end + 1;
    return AfterQuote();
  }

  // Nothing but a comment may follow.
  absl::Status AfterQuote() {
    const size_t end = at_;
    SkipBlanks();
    const bool comment = at_ > end && Peek() == '#';
    if (!comment && !AtLineEnd(at_)) return At(at_, "only a comment may follow the closing quote");
    SkipLine();
    return absl::OkStatus();
  }

  static SecretText Copy(absl::string_view text) {
    SecretText copy(text.size());
    std::copy(text.begin(), text.end(), copy.ExposeMutable());
    return copy;
  }

  const absl::string_view text_;
  const absl::string_view file_name_;
  size_t at_ = 0;
  // Up to where lines were counted, the line there and where it begins.
  size_t counted_ = 0;
  int line_ = 1;
  size_t line_start_ = 0;
};

}  // namespace

bool IsVariableName(absl::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes || absl::ascii_isdigit(name[0])) return false;
  return std::all_of(name.begin(), name.end(), [](char c) { return c == '_' || absl::ascii_isalnum(c); });
}

absl::Status FileError(absl::string_view file_name, int line, int column, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(file_name, ":", line, ":", column, ": ", problem));
}

absl::StatusOr<std::vector<DotenvEntry>> ParseDotenv(absl::string_view text, absl::string_view file_name) {
  return Reader(text, file_name).Run();
}

}  // namespace keyferry::client
