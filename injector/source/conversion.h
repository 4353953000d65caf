#ifndef KEYFERRY_INJECTOR_SOURCE_CONVERSION_H_
#define KEYFERRY_INJECTOR_SOURCE_CONVERSION_H_

#include <array>
#include <cstdint>

#include "absl/status/statusor.h"
#include "injector/exec/environment.h"
#include "injector/source/resolved_environment.h"
#include "keyferry/v1/resolution.pb.h"

namespace keyferry::injector {

// Moves the values out of the response, in which they are overwritten; it is empty afterwards.
ResolvedEnvironment TakeEnvironment(v1::ResolveResponse* response);

// Overwrites the values of a response that is not used.
void WipeValues(v1::ResolveResponse* response);

// BuildEnvironment of the resolved variables over `inherited`; its errors.
absl::StatusOr<Environment> EnvironmentFor(const char* const* inherited, const InheritRules& rules,
                                           const ResolvedEnvironment& resolved);

// Tells environments apart by their names, values and versions without keeping any value: keyed by a random key of
// this object's own.
class EnvironmentFingerprinter {
 public:
  using Fingerprint = std::array<uint8_t, 32>;
  EnvironmentFingerprinter();
  ~EnvironmentFingerprinter();
  EnvironmentFingerprinter(const EnvironmentFingerprinter&) = delete;
  EnvironmentFingerprinter& operator=(const EnvironmentFingerprinter&) = delete;

  Fingerprint Of(const ResolvedEnvironment& environment) const;

 private:
  std::array<uint8_t, 32> key_;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SOURCE_CONVERSION_H_
