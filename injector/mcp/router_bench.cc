// Time per byte of the scanner against memchr over the same bytes, and time per message of the router against writing
// the line down. `bazel run -c opt //injector/mcp:router_bench`.
#include <benchmark/benchmark.h>

#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "injector/mcp/message_head.h"
#include "injector/mcp/router.h"

namespace keyferry::injector::mcp {
namespace {

constexpr size_t kLongBytes = size_t{64} << 20;

std::string Result(const std::string& content) {
  return absl::StrCat(R"({"result":{"content":[{"type":"text","text":")", content, R"("}]},"jsonrpc":"2.0","id":3})");
}

std::string Repeated(absl::string_view piece) {
  std::string text;
  while (text.size() < kLongBytes) absl::StrAppend(&text, piece);
  return text;
}

std::string LongLine(int kind) {
  switch (kind) {
    case 0:
      return Result(Repeated("plain text of a tool's result, without anything to escape; "));
    case 1:
      return Result(Repeated(R"({\"name\":\"escaped JSON\",\n\"in\":\"a string\"},)"));
    default:
      return absl::StrCat(R"({"jsonrpc":"2.0","id":3,"result":[)", Repeated(R"({"name":"x","n":[1,22,true]},)"), "0]}");
  }
}

void LongLineHead(benchmark::State& state) {
  const std::string line = LongLine(static_cast<int>(state.range(0)));
  MessageHead head;
  for (auto _ : state) {
    if (!ParseMessageHead(line, head)) state.SkipWithError("not a message");
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * line.size()));
}
BENCHMARK(LongLineHead)->ArgName("plain0_escaped1_structured2")->DenseRange(0, 2);

void LongLineFloor(benchmark::State& state) {
  const std::string line = LongLine(0);
  for (auto _ : state) benchmark::DoNotOptimize(std::memchr(line.data(), '\n', line.size()));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * line.size()));
}
BENCHMARK(LongLineFloor);

class CountingOutput : public RouterOutput {
 public:
  void ToClient(absl::string_view line) override { bytes += line.size(); }
  void ToServer(ProcessId process, absl::string_view line) override { bytes += line.size(); }
  void CloseInput(ProcessId process) override {}
  void Discard(ProcessId process, absl::string_view why) override {}
  void Ready(ProcessId process) override {}
  void Log(ProcessId process, absl::string_view line) override {}
  size_t bytes = 0;
};

void CallAndAnswer(benchmark::State& state) {
  CountingOutput output;
  Router router(RouterOptions(), output);
  router.StartFirst(1);
  const std::string call =
      R"({"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"echo","arguments":{"message":"hello"},"_meta":{"progressToken":3}}})"
      "\n";
  const std::string answer = Result("hello") + "\n";
  for (auto _ : state) {
    router.FromClient(call);
    router.FromServer(1, answer);
  }
  benchmark::DoNotOptimize(output.bytes);
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * 2);
}
BENCHMARK(CallAndAnswer);

void ServerCallAndAnswer(benchmark::State& state) {
  CountingOutput output;
  Router router(RouterOptions(), output);
  router.StartFirst(1);
  const std::string call =
      R"({"jsonrpc":"2.0","id":3,"method":"sampling/createMessage","params":{"messages":[],"_meta":{"progressToken":3}}})"
      "\n";
  uint64_t number = 1;
  for (auto _ : state) {
    router.FromServer(1, call);
    router.FromClient(absl::StrCat(R"({"jsonrpc":"2.0","id":)", number++, R"(,"result":{}})", "\n"));
  }
  benchmark::DoNotOptimize(output.bytes);
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * 2);
}
BENCHMARK(ServerCallAndAnswer);

}  // namespace
}  // namespace keyferry::injector::mcp

BENCHMARK_MAIN();
