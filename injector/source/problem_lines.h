#ifndef KEYFERRY_INJECTOR_SOURCE_PROBLEM_LINES_H_
#define KEYFERRY_INJECTOR_SOURCE_PROBLEM_LINES_H_

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"

namespace keyferry::injector {

// Decides which lines about a lasting problem are worth printing: each at most once in ten minutes, and of all at most
// ten in one minute. Not thread-safe.
class ProblemLines {
 public:
  // Whether the line is to be printed at `now`.
  bool Allow(const std::string& line, absl::Time now);

 private:
  absl::flat_hash_map<std::string, absl::Time> last_;
  absl::Time minute_ = absl::InfinitePast();
  int in_minute_ = 0;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SOURCE_PROBLEM_LINES_H_
