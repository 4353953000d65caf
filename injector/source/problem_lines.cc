#include "injector/source/problem_lines.h"

namespace keyferry::injector {
namespace {

constexpr absl::Duration kSameLine = absl::Minutes(10);
constexpr int kLinesInAMinute = 10;
constexpr size_t kKnownLines = 256;

}  // namespace

bool ProblemLines::Allow(const std::string& line, absl::Time now) {
  if (now - minute_ >= absl::Minutes(1)) {
    minute_ = now;
    in_minute_ = 0;
  }
  const auto last = last_.find(line);
  if (last != last_.end() && now - last->second < kSameLine) return false;
  if (in_minute_ >= kLinesInAMinute) return false;
  ++in_minute_;
  if (last_.size() >= kKnownLines) last_.clear();
  last_[line] = now;
  return true;
}

}  // namespace keyferry::injector
