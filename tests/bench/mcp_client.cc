// Drives a stdio MCP server (injector/supervise/testing/scripted_server) and measures what a client sees of it.
//
// usage: mcp_client ping|big|gap SECONDS -- CMD ARG...
//
//   ping   p50 and p99 of the time from a request to its answer, us
//   big    throughput of 64 MiB results, MiB/s
//   gap    longest time between two answers under load, ms; prints "ready" first
//
// The last line is the figures, then the resident memory of CMD's process in KiB.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "injector/supervise/testing/program.h"

namespace {

using Clock = std::chrono::steady_clock;
using keyferry::testing::Program;

double Micros(Clock::duration time) { return std::chrono::duration<double, std::micro>(time).count(); }

// Sends a request and returns when its answer is there.
class Client {
 public:
  explicit Client(const std::vector<std::string>& command) : program_(Program::Start(command)) {
    program_->Write(
        "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-06-18\","
        "\"capabilities\":{},\"clientInfo\":{\"name\":\"bench\",\"version\":\"1\"}}}\n");
    program_->ReadLine();
    program_->Write("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
  }

  size_t Request(const std::string& method, const std::string& params) {
    const std::string id = absl::StrCat("\"id\":", ++id_, ",");
    program_->Write(
        absl::StrCat("{\"jsonrpc\":\"2.0\",", id, "\"method\":\"", method, "\",\"params\":", params, "}\n"));
    while (true) {
      const std::string line = program_->ReadLine();
      if (line.empty()) exit(1);
      if (absl::StrContains(line.substr(0, 100), id)) return line.size();
    }
  }

  long ResidentKib() const {
    std::ifstream status(absl::StrCat("/proc/", program_->pid(), "/status"));
    for (std::string line; std::getline(status, line);) {
      if (absl::StartsWith(line, "VmRSS:")) return std::stol(line.substr(6));
    }
    return 0;
  }

 private:
  std::unique_ptr<Program> program_;
  int id_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 5) return 64;
  const std::string what = argv[1];
  Client client(std::vector<std::string>(argv + 4, argv + argc));
  for (int i = 0; i < 200; ++i) client.Request("ping", "{}");
  printf("ready\n");
  fflush(stdout);
  const Clock::time_point end = Clock::now() + std::chrono::milliseconds(static_cast<long>(atof(argv[2]) * 1000));
  std::vector<double> times;
  size_t bytes = 0;
  const Clock::time_point start = Clock::now();
  Clock::time_point last = start;
  while (Clock::now() < end) {
    if (what == "big") {
      bytes += client.Request("tools/call", "{\"name\":\"big\",\"argument\":\"67108864\"}");
    } else {
      client.Request("ping", "{}");
    }
    const Clock::time_point now = Clock::now();
    times.push_back(Micros(now - last));
    last = now;
  }
  std::sort(times.begin(), times.end());
  if (what == "ping") printf("%f %f", times[times.size() / 2], times[times.size() * 99 / 100]);
  if (what == "big") printf("%f", static_cast<double>(bytes) / 1048576 / (Micros(last - start) / 1e6));
  if (what == "gap") printf("%f", times.back() / 1000);
  printf(" %ld\n", client.ResidentKib());
  fflush(stdout);
  return 0;
}
