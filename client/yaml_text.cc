#include "client/yaml_text.h"

#include <ctype.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "client/utf8.h"

namespace keyferry::client {

TextPosition PositionOf(const YAML::Mark& mark) { return {std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1}; }

absl::Status FileErrorAt(absl::string_view file_name, TextPosition position, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(file_name, ":", position.line, ":", position.column, ": ", problem));
}

absl::Status NotYaml(absl::string_view file_name, const YAML::Exception& error) {
  // What follows a colon repeats the text.
  return FileErrorAt(file_name, PositionOf(error.mark), error.msg.substr(0, error.msg.find(':')));
}

bool FindBadByte(absl::string_view text, TextPosition* position) {
  const size_t offset = std::min(FindInvalidUtf8(text), text.find('\0'));
  if (offset == absl::string_view::npos) return false;
  for (const char c : text.substr(0, offset)) {
    if (c == '\n') {
      ++position->line;
      position->column = 1;
    } else if ((static_cast<unsigned char>(c) & 0xc0) != 0x80) {
      ++position->column;
    }
  }
  return true;
}

std::string ShownKey(const std::string& key) {
  const bool word =
      key.size() <= 32 && std::all_of(key.begin(), key.end(), [](unsigned char c) { return isalpha(c) || c == '_'; });
  return word ? absl::StrCat("`", key, "`") : "(not shown)";
}

}  // namespace keyferry::client
