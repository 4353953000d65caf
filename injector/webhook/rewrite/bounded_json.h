#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_BOUNDED_JSON_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_BOUNDED_JSON_H_

#include <cstddef>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace keyferry::injector::webhook {

using Json = nlohmann::json;

struct JsonBounds {
  size_t bytes = 3 << 20;
  int depth = 64;
  // Objects, lists, texts and all else together: each takes far more memory than the two bytes of a text that it may
  // be.
  size_t values = 200'000;
};

// Parses one JSON text (RFC 8259), UTF-8. INVALID_ARGUMENT, without any of the text, if it is not one, is longer,
// has more values or is more deeply nested than `bounds` allow, or has a member twice: two readers could then take it
// differently.
absl::StatusOr<Json> ParseBoundedJson(absl::string_view text, const JsonBounds& bounds = JsonBounds());

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_BOUNDED_JSON_H_
