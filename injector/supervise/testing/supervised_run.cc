// The injector's `exec --supervise` without a server: for tests of what stands between the command and its caller.
//
// usage: supervised_run OPTIONS -- CMD ARG...      OPTIONS as for `keyferry-injector exec`
//
// The environment is what KEYFERRY_TEST_FIRST says, then each line that comes out of the file KEYFERRY_TEST_CONTROL (a
// FIFO, say): `NAME=VALUE` separated by spaces. What runs is reported to the file KEYFERRY_TEST_REPORT, a line
// `REVISION PID` each time.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "injector/exec/exec_options.h"
#include "injector/exec/process.h"
#include "injector/supervise/mailbox.h"
#include "injector/supervise/signals.h"
#include "injector/supervise/supervisor.h"

namespace keyferry::injector {
namespace {

class FileReport : public ReportSink {
 public:
  explicit FileReport(const char* path) {
    if (path != nullptr) file_ = fopen(path, "ae");
  }
  void Running(int64_t revision, int64_t pid) override {
    if (file_ == nullptr) return;
    fprintf(file_, "%lld %lld\n", static_cast<long long>(revision), static_cast<long long>(pid));
    fflush(file_);
  }

 private:
  FILE* file_ = nullptr;
};

ResolvedEnvironment Parse(const std::string& line, int64_t revision) {
  ResolvedEnvironment environment;
  environment.revision = revision;
  for (absl::string_view word : absl::StrSplit(line, ' ', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(word, absl::MaxSplits('=', 1));
    ResolvedValue& value = environment.variables.emplace_back();
    value.name = parts.first;
    value.value = client::SecretText(parts.second.size());
    memcpy(value.value.ExposeMutable(), parts.second.data(), parts.second.size());
  }
  return environment;
}

void FollowControl(const std::string& path, Mailbox& mailbox) {
  int64_t revision = 1;
  std::ifstream control(path);
  std::string line;
  while (std::getline(control, line)) mailbox.OnEnvironment(Parse(line, ++revision));
}

int Run(const std::vector<std::string>& arguments, const InheritedState& state) {
  std::vector<std::string> with_server = {"--mcp-server", "test", "--supervise"};
  with_server.insert(with_server.end(), arguments.begin(), arguments.end());
  absl::StatusOr<ExecOptions> options = ParseExecOptions(with_server);
  if (!options.ok()) {
    fprintf(stderr, "%s\n", std::string(options.status().message()).c_str());
    return 64;
  }
  BlockAllSignals();
  Mailbox mailbox;
  FileReport report(getenv("KEYFERRY_TEST_REPORT"));
  if (const char* const control = getenv("KEYFERRY_TEST_CONTROL")) {
    std::thread([path = std::string(control), &mailbox] { FollowControl(path, mailbox); }).detach();
  }
  const char* const first = getenv("KEYFERRY_TEST_FIRST");
  const SupervisedCommand command = {options->command, environ, options->inherit};
  const Failure failure =
      RunSupervised(command, *options->supervise, state, Parse(first == nullptr ? "" : first, 1), mailbox, report);
  if (!failure.message.empty()) fprintf(stderr, "keyferry-injector: %s\n", failure.message.c_str());
  fflush(nullptr);
  // Not past the thread that reads the control file.
  _exit(failure.exit_code);
}

}  // namespace
}  // namespace keyferry::injector

int main(int argc, char** argv) {
  const keyferry::injector::InheritedState state = keyferry::injector::InheritedState::Capture();
  keyferry::injector::HardenProcess();
  return keyferry::injector::Run(std::vector<std::string>(argv + 1, argv + argc), state);
}
