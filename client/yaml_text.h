#ifndef KEYFERRY_CLIENT_YAML_TEXT_H_
#define KEYFERRY_CLIENT_YAML_TEXT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "yaml-cpp/exceptions.h"
#include "yaml-cpp/mark.h"

namespace keyferry::client {

// What the readers of YAML files that hold no secret have in common.

// A place in a text; both count from 1, columns in characters.
struct TextPosition {
  int line = 1;
  int column = 1;
};

TextPosition PositionOf(const YAML::Mark& mark);

// INVALID_ARGUMENT, "FILE:LINE:COLUMN: problem".
absl::Status FileErrorAt(absl::string_view file_name, TextPosition position, absl::string_view problem);

// What is wrong with a text that is not YAML, without what the parser repeats of it.
absl::Status NotYaml(absl::string_view file_name, const YAML::Exception& error);

// The position of the first byte that is NUL or no part of well-formed UTF-8, if there is one.
bool FindBadByte(absl::string_view text, TextPosition* position);

// A key as messages repeat it. What is no word may be a value whose colon has no space after it, and is not shown.
std::string ShownKey(const std::string& key);

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_YAML_TEXT_H_
