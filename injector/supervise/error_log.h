#ifndef KEYFERRY_INJECTOR_SUPERVISE_ERROR_LOG_H_
#define KEYFERRY_INJECTOR_SUPERVISE_ERROR_LOG_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "injector/supervise/output_stream.h"

namespace keyferry::injector {

// This process's own lines on standard error, between those of the command: `keyferry-injector: TEXT`. At most 30 at
// once and one a second on average; how many were left out is said with the next. For the loop's thread.
class ErrorLog {
 public:
  // `program` names this process in front of each line.
  ErrorLog(OutputStream& output, absl::string_view program) : output_(output), program_(program) {}

  // One line without the program's name. Never a value, never what the command or its client said.
  void Line(absl::string_view text);

  // Standard error is a terminal in raw mode from now on, or not any more: a new line does not go back to the left.
  void SetRaw(bool raw) { line_end_ = raw ? "\r\n" : "\n"; }

 private:
  bool Allowed();

  OutputStream& output_;
  const absl::string_view program_;
  double allowance_ = kBurst;
  absl::Time last_ = absl::InfinitePast();
  uint64_t left_out_ = 0;
  absl::string_view line_end_ = "\n";

  static constexpr double kBurst = 30;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_ERROR_LOG_H_
