// Lines of a client and of server processes, as they like, in and around rotations. The first byte of each line says
// who speaks or what the host does. Nothing may crash, whole lines come out, no process is spoken to after its end, and
// what the head scanner takes for a message is JSON whose id it has read rightly.
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "injector/mcp/line_framer.h"
#include "injector/mcp/message_head.h"
#include "injector/mcp/router.h"
#include "nlohmann/json.hpp"

namespace {

namespace mcp = keyferry::injector::mcp;

void Require(bool holds) {
  if (!holds) std::abort();
}

class Output : public mcp::RouterOutput {
 public:
  void ToClient(absl::string_view line) override { Require(IsMessage(line)); }
  void ToServer(mcp::ProcessId process, absl::string_view line) override {
    Require(ended.count(process) == 0 && IsMessage(line));
  }
  void CloseInput(mcp::ProcessId process) override { Require(ended.insert(process).second); }
  void Discard(mcp::ProcessId process, absl::string_view why) override { Require(ended.insert(process).second); }
  void Ready(mcp::ProcessId process) override { Require(ended.count(process) == 0); }
  void Log(mcp::ProcessId process, absl::string_view line) override {
    Require(line.find('\n') == absl::string_view::npos);
  }

  std::set<mcp::ProcessId> ended;

 private:
  static bool IsMessage(absl::string_view line) {
    if (line.empty() || line.find('\n') != line.size() - 1) return false;
    line.remove_suffix(1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    std::vector<absl::string_view> texts = {line};
    if (mcp::IsBatch(line) && !mcp::SplitBatch(line, texts)) return false;
    for (const absl::string_view text : texts) {
      mcp::MessageHead head;
      if (!mcp::ParseMessageHead(text, head)) return false;
    }
    return true;
  }
};

// Strings that are not UTF-8 are left alone by the scanner but not by the other parser.
void CompareWithOtherParser(const std::string& text) {
  mcp::MessageHead head;
  if (!mcp::ParseMessageHead(text, head)) return;
  const auto parsed = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) {
    bool ascii = true;
    for (const char c : text) ascii = ascii && static_cast<unsigned char>(c) < 0x80;
    // Numbers beyond a double and lone surrogates are what else it refuses.
    Require(!ascii || text.find_first_of("eE") != std::string::npos || text.find("\\u") != std::string::npos ||
            text.size() > 300);
    return;
  }
  Require(parsed.is_object() && parsed["jsonrpc"] == "2.0");
  if (!head.id.empty()) Require(parsed["id"] == nlohmann::json::parse(head.id));
  if (!head.method.empty()) Require(parsed["method"] == head.method);
  Require(parsed.contains("result") == (head.kind == mcp::MessageHead::Kind::kResult));
  Require(parsed.contains("error") == (head.kind == mcp::MessageHead::Kind::kError));
}

class Driver : public mcp::LineSink {
 public:
  Driver() : router_(Options(), output_) { router_.StartFirst(1); }

  void OnLine(absl::string_view line) override {
    if (line.empty()) return;
    const char who = line.front();
    line.remove_prefix(1);
    std::string text(line);
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    CompareWithOtherParser(text);
    const mcp::ProcessId process = text.empty() ? 1 : static_cast<unsigned char>(text[0]) % 8;
    switch (who) {
      case 'c':
        if (!client_closed_) router_.FromClient(line);
        return;
      case 'R':
        if (next_ < 8) router_.StartReplacement(next_++);
        return;
      case 'S':
        return router_.BeginSerial();
      case 'D':
        return router_.DrainTimeout(process);
      case 'I':
        return router_.InitializeTimeout(process);
      case 'X':
        if (process >= next_) return;
        output_.ended.insert(process);
        return router_.ServerExited(process);
      case 'E':
        client_closed_ = true;
        return router_.ClientClosed();
      default:
        if (who >= '1' && who < '8') router_.FromServer(static_cast<mcp::ProcessId>(who - '0'), line);
    }
  }
  void OnOversizedLine() override {
    router_.OversizedFromClient();
    router_.OversizedFromServer(1);
  }

 private:
  static mcp::RouterOptions Options() {
    mcp::RouterOptions options;
    options.max_message_bytes = 4096;
    options.max_held_bytes = 1024;
    return options;
  }

  Output output_;
  mcp::Router router_;
  mcp::ProcessId next_ = 2;
  bool client_closed_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view input(reinterpret_cast<const char*>(data), size);
  Driver driver;
  mcp::LineFramer framer(4096);
  // In two pieces, so that lines cross the boundary.
  framer.Write(input.substr(0, size / 2), driver);
  framer.Write(input.substr(size / 2), driver);
  framer.Finish(driver);
  return 0;
}
