#ifndef KEYFERRY_INJECTOR_SUPERVISE_SUPERVISE_FLAGS_H_
#define KEYFERRY_INJECTOR_SUPERVISE_SUPERVISE_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "injector/supervise/supervise_options.h"

namespace keyferry::injector {

// What the command line says about supervision, as text, the same for every program that supervises; empty where a flag
// is not given.
struct SuperviseFlags {
  std::string on_rotate;
  std::string rotation;
  std::string drain_timeout;
  std::string initialize_timeout;
  std::string stop_timeout;
  std::string debounce;
  std::string splay;
  bool no_redact = false;

  bool any() const;
};

// INVALID_ARGUMENT names the flag that is wrong, and how it is meant.
absl::StatusOr<SuperviseOptions> ReadSuperviseFlags(const SuperviseFlags& flags);

// The value of --startup-timeout, 1 s to 1 h. INVALID_ARGUMENT says so.
absl::Status ReadStartupTimeout(const std::string& text, absl::Duration& result);

// INVALID_ARGUMENT if one of the values of --unset is not the name of a variable.
absl::Status CheckUnset(const std::vector<std::string>& names);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_SUPERVISE_FLAGS_H_
