#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/version.h"
#include "injector/exec/launch_failure.h"
#include "injector/exec/process.h"
#include "injector/launch/copy_self.h"
#include "injector/launch/launch_options.h"
#include "injector/launch/run.h"
#include "injector/supervise/standard_streams.h"

namespace keyferry::injector::launch {
namespace {

int Run(const std::vector<std::string>& arguments, const InheritedState& state) {
  const absl::StatusOr<LaunchOptions> options = ParseLaunchOptions(arguments, getenv("KEYFERRY_AGENT_SOCKET"));
  Failure result;
  if (!options.ok()) {
    result = {kUsage, Printable(std::string(options.status().message()))};
  } else if (options->help) {
    fputs(LaunchHelp(), stdout);
    return 0;
  } else if (options->version) {
    printf("keyferry-launch %s\n", client::kClientVersion);
    return 0;
  } else if (!options->copy_to.empty()) {
    result = CopySelfTo(options->copy_to);
  } else {
    HardenProcess();
    result = RunLaunch(*options, state);
  }
  if (!result.message.empty()) fprintf(stderr, "keyferry-launch: %s\n", result.message.c_str());
  return result.exit_code;
}

}  // namespace
}  // namespace keyferry::injector::launch

int main(int argc, char** argv) {
  const keyferry::injector::InheritedState state = keyferry::injector::InheritedState::Capture();
  keyferry::injector::FillStandardDescriptors();
  return keyferry::injector::launch::Run(std::vector<std::string>(argv + 1, argv + argc), state);
}
