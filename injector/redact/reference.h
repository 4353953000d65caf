#ifndef KEYFERRY_INJECTOR_REDACT_REFERENCE_H_
#define KEYFERRY_INJECTOR_REDACT_REFERENCE_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "injector/redact/pattern_set.h"

namespace keyferry::injector {

// Redaction as it is documented, by decoding the text at every place in every way. For tests: slow, and it shares no
// code with what it is compared to.
struct ReferenceMatch {
  size_t begin = 0;
  size_t end = 0;
  std::string name;
};

// Every value of at least kMinRedactedBytes in every form that is documented, those that overlap as one.
std::vector<ReferenceMatch> FindReference(const std::vector<NamedValue>& values, absl::string_view text);

// The text with each match replaced, without regard to JSON.
std::string RedactReference(const std::vector<NamedValue>& values, absl::string_view text);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_REDACT_REFERENCE_H_
