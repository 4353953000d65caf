#ifndef KEYFERRY_CLIENT_CLI_STREAMS_H_
#define KEYFERRY_CLIENT_CLI_STREAMS_H_

#include <functional>
#include <ostream>
#include <string>

#include "absl/time/time.h"
#include "client/connection_options.h"

namespace keyferry::client::cli {

// What a run of the command line reads and writes; a test brings its own.
struct Streams {
  // File descriptor of standard input.
  int input = 0;
  bool input_is_terminal = false;
  std::ostream* output = nullptr;
  bool output_is_terminal = false;
  std::ostream* error = nullptr;
  Environment environment;
  std::function<absl::Time()> now;
  // Waits.
  std::function<void(absl::Duration)> sleep;
  // Shows a page in the person's browser; false if there is none.
  std::function<bool(const std::string& url)> open_browser;
};

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_STREAMS_H_
