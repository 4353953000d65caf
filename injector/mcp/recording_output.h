#ifndef KEYFERRY_INJECTOR_MCP_RECORDING_OUTPUT_H_
#define KEYFERRY_INJECTOR_MCP_RECORDING_OUTPUT_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "injector/mcp/router.h"

namespace keyferry::injector::mcp {

// Writes down what a Router asks for, one text for each call: `client TEXT`, `server 2 TEXT`, `close 1`, `discard 2`,
// `ready 2`, `log TEXT`. A line that does not end with its only '\n' is marked `BROKEN`.
class RecordingOutput : public RouterOutput {
 public:
  void ToClient(absl::string_view line) override { Add("client", line); }
  void ToServer(ProcessId process, absl::string_view line) override { Add(absl::StrCat("server ", process), line); }
  void CloseInput(ProcessId process) override { calls_.push_back(absl::StrCat("close ", process)); }
  void Discard(ProcessId process, absl::string_view why) override {
    calls_.push_back(absl::StrCat("discard ", process));
    Log(process, absl::StrCat("is given up: ", why));
  }
  void Ready(ProcessId process) override { calls_.push_back(absl::StrCat("ready ", process)); }
  void Log(ProcessId process, absl::string_view line) override {
    logs_.push_back(process == 0 ? std::string(line) : absl::StrCat("process ", process, " ", line));
  }

  // Since the last time.
  std::vector<std::string> TakeCalls() { return std::exchange(calls_, {}); }
  std::vector<std::string> TakeLogs() { return std::exchange(logs_, {}); }

 private:
  void Add(absl::string_view destination, absl::string_view line) {
    const bool whole = absl::ConsumeSuffix(&line, "\n") && line.find('\n') == absl::string_view::npos;
    calls_.push_back(absl::StrCat(whole ? "" : "BROKEN ", destination, " ", line));
  }

  std::vector<std::string> calls_;
  std::vector<std::string> logs_;
};

}  // namespace keyferry::injector::mcp

#endif  // KEYFERRY_INJECTOR_MCP_RECORDING_OUTPUT_H_
