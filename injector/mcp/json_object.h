#ifndef KEYFERRY_INJECTOR_MCP_JSON_OBJECT_H_
#define KEYFERRY_INJECTOR_MCP_JSON_OBJECT_H_

#include <string>

#include "absl/strings/string_view.h"

namespace keyferry::injector::mcp {

// The text of a string token (with its quotes), unescaped. False if it is not UTF-8 or has a lone surrogate.
bool DecodeJsonString(absl::string_view token, std::string& text);

// The decimal value of a number token in one form: 1, 1.0, 10e-1 are "1"; exact, of any length. False if the exponent
// has more than six digits.
bool CanonicalJsonNumber(absl::string_view token, std::string& number);

// `text` as a JSON string token.
std::string QuoteJsonString(absl::string_view text);

// Iterates over the members of an object:
//
//   JsonObjectReader reader(text);
//   while (reader.Next()) use(reader.key(), reader.value());
//   if (!reader.ok()) ...
class JsonObjectReader {
 public:
  // `text` is to be one object, from '{' to '}', and nothing else.
  explicit JsonObjectReader(absl::string_view text);

  // False at the end, and if the text turns out not to be an object. A key that cannot be decoded ends it as well.
  bool Next();
  bool ok() const { return ok_; }
  const std::string& key() const { return key_; }
  absl::string_view value() const { return value_; }

 private:
  bool Fail();

  const char* next_;
  const char* const end_;
  bool first_ = true;
  bool ok_ = true;
  bool done_ = false;
  std::string key_;
  absl::string_view value_;
};

// True if `key` may be taken for `name` by a reader that ignores case (Go's encoding/json does, with the Unicode
// folding of the letter s), but is not `name`.
bool IsVariantOfKey(absl::string_view key, absl::string_view name);

enum class JsonMember { kFound, kAbsent, kUnclear };

// The value of member `name` of an object. kUnclear if it is not an object, or if the member comes twice or also under
// a variant of its name.
JsonMember FindJsonMember(absl::string_view object, absl::string_view name, absl::string_view& value);

}  // namespace keyferry::injector::mcp

#endif  // KEYFERRY_INJECTOR_MCP_JSON_OBJECT_H_
