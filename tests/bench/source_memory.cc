// What an injector that watches costs in memory: prints resident sizes in KiB at the start of the program, with the
// first environment, once the watch stands, and after so many more environments, for somebody else to cause. Takes
// KEYFERRY_* from the environment; usage: source_memory MCP_SERVER ENVIRONMENTS
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fstream>
#include <string>

#include "absl/synchronization/blocking_counter.h"
#include "absl/time/clock.h"
#include "injector/exec/process_description.h"
#include "injector/source/environment_source.h"

namespace keyferry::injector {
namespace {

class Counter : public EnvironmentListener {
 public:
  explicit Counter(int wanted) : wanted_(wanted) {}
  void OnEnvironment(ResolvedEnvironment) override { wanted_.DecrementCount(); }
  void OnProblem(std::string line) override { fprintf(stderr, "%s\n", line.c_str()); }
  void OnEnded(Failure failure) override { fprintf(stderr, "%s\n", failure.message.c_str()); }
  void Wait() { wanted_.Wait(); }

 private:
  absl::BlockingCounter wanted_;
};

void Print(const char* when) {
  std::ifstream status("/proc/self/status");
  printf("%-32s", when);
  for (std::string line; std::getline(status, line);) {
    for (const char* field : {"VmRSS:", "RssAnon:", "RssFile:", "Threads:"}) {
      if (line.rfind(field, 0) == 0) printf(" %s%6ld", field, strtol(line.c_str() + strlen(field), nullptr, 10));
    }
  }
  printf("\n");
}

int Run(const char* mcp_server, int environments) {
  Print("at the start");
  ExecOptions options;
  options.mcp_server = mcp_server;
  const auto access = ServerAccess::Load(options, ::getenv);
  if (!access.ok()) return 64;
  ResolvedEnvironment first;
  Failure failure;
  const auto source = EnvironmentSource::Open(*access, DescribeProcess(::getenv, absl::Hours(1)),
                                              EnvironmentSource::Options(), &first, &failure);
  if (source == nullptr) {
    fprintf(stderr, "%s\n", failure.message.c_str());
    return failure.exit_code;
  }
  Print("with the first environment");
  Counter counter(environments);
  source->Start(&counter);
  source->Running(first.revision, 1);
  absl::SleepFor(absl::Seconds(2));
  Print("while it watches");
  fflush(stdout);
  counter.Wait();
  Print("after more environments");
  return 0;
}

}  // namespace
}  // namespace keyferry::injector

int main(int argc, char** argv) { return argc == 3 ? keyferry::injector::Run(argv[1], atoi(argv[2])) : 64; }
