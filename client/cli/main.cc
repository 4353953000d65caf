#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <iostream>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "client/cli/browser.h"
#include "client/cli/run.h"

int main(int argc, char** argv) {
  // Values and tokens pass through this process: no core dumps, no debugger of the same user.
  prctl(PR_SET_DUMPABLE, 0);
  const rlimit no_core = {0, 0};
  setrlimit(RLIMIT_CORE, &no_core);

  keyferry::client::cli::Streams streams;
  streams.input = STDIN_FILENO;
  streams.input_is_terminal = isatty(STDIN_FILENO) == 1;
  streams.output = &std::cout;
  streams.output_is_terminal = isatty(STDOUT_FILENO) == 1;
  streams.error = &std::cerr;
  streams.environment = [](const char* name) -> const char* { return getenv(name); };
  streams.now = [] { return absl::Now(); };
  streams.sleep = [](absl::Duration duration) { absl::SleepFor(duration); };
  streams.open_browser = [&streams](const std::string& url) {
    return keyferry::client::cli::StartBrowser(streams.environment, url) > 0;
  };
  return keyferry::client::cli::Run(std::vector<std::string>(argv + 1, argv + argc), streams);
}
