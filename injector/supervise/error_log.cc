#include "injector/supervise/error_log.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace keyferry::injector {

bool ErrorLog::Allowed() {
  const absl::Time now = absl::Now();
  if (last_ != absl::InfinitePast()) {
    allowance_ = std::min(kBurst, allowance_ + std::max(0.0, absl::ToDoubleSeconds(now - last_)));
  }
  last_ = now;
  if (allowance_ < 1) return false;
  allowance_ -= 1;
  return true;
}

void ErrorLog::Line(absl::string_view text) {
  // A standard error that nobody reads must not become memory either.
  if (!Allowed() || output_.full()) {
    ++left_out_;
    return;
  }
  if (!output_.at_line_start()) output_.Write(line_end_);
  if (left_out_ > 0) output_.Write(absl::StrCat(program_, ": ", left_out_, " more lines were left out", line_end_));
  left_out_ = 0;
  output_.Write(absl::StrCat(program_, ": ", text, line_end_));
}

}  // namespace keyferry::injector
