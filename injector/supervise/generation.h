#ifndef KEYFERRY_INJECTOR_SUPERVISE_GENERATION_H_
#define KEYFERRY_INJECTOR_SUPERVISE_GENERATION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "client/secret_text.h"
#include "injector/exec/environment.h"
#include "injector/redact/redactor.h"
#include "injector/source/resolved_environment.h"

namespace keyferry::injector {

// One state of the environment, ready for a process to be started with it any number of times.
struct Generation {
  // What BuildEnvironment answers if the environment cannot be used.
  static absl::StatusOr<std::shared_ptr<Generation>> Make(ResolvedEnvironment resolved, const char* const* inherited,
                                                          const InheritRules& rules);

  // Whether a process started with the other would have the same variables.
  bool SameVariables(const Generation& other) const;

  Environment environment;
  std::vector<ResolvedValue> variables;
  int64_t revision = 0;
};

// Patterns of the values of all `generations`: what one process holds, another may print, e.g. from a shared file. A
// value that several have is one pattern.
std::shared_ptr<const PatternSet> PatternsOf(absl::Span<const std::shared_ptr<Generation>> generations);

// Names of the variables whose values are too short to be redacted, in order.
std::vector<std::string> UnredactedNames(const Generation& generation);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_GENERATION_H_
