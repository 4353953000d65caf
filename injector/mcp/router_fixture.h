#ifndef KEYFERRY_INJECTOR_MCP_ROUTER_FIXTURE_H_
#define KEYFERRY_INJECTOR_MCP_ROUTER_FIXTURE_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "injector/mcp/recording_output.h"
#include "injector/mcp/router.h"

namespace keyferry::injector::mcp {

// What the client and the servers of a Router's tests say, and what a RecordingOutput writes down of it.
inline constexpr absl::string_view kInitialize =
    R"({"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"roots":{}},"clientInfo":{"name":"c","version":"1"},"_meta":{"progressToken":7}}})";
inline constexpr absl::string_view kReplayedInitialize =
    R"(server 2 {"jsonrpc":"2.0","id":"keyferry-replay-1","method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{"roots":{}},"clientInfo":{"name":"c","version":"1"}}})";
inline constexpr absl::string_view kInitialized = R"({"jsonrpc":"2.0","method":"notifications/initialized"})";
inline constexpr absl::string_view kResult =
    R"({"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true},"resources":{"subscribe":true}},"serverInfo":{"name":"s","version":"1"}})";

inline std::string Request(absl::string_view id, absl::string_view method = "tools/call") {
  return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id, R"(,"method":")", method, R"("})");
}
inline std::string Request(absl::string_view id, absl::string_view method, absl::string_view params) {
  return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id, R"(,"method":")", method, R"(","params":)", params, "}");
}
inline std::string Notification(absl::string_view method, absl::string_view params = "{}") {
  return absl::StrCat(R"({"jsonrpc":"2.0","method":")", method, R"(","params":)", params, "}");
}
inline std::string Answer(absl::string_view id, absl::string_view result = R"({"ok":1})") {
  return absl::StrCat(R"({"result":)", result, R"(,"jsonrpc":"2.0","id":)", id, "}");
}
inline std::string Failure(absl::string_view id) {
  return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id, R"(,"error":{"code":-1,"message":"no"}})");
}
inline std::string ErrorFor(absl::string_view id, int code) {
  return absl::StrCat(R"(client {"jsonrpc":"2.0","id":)", id, R"(,"error":{"code":)", code);
}
inline std::string ToClient(absl::string_view text) { return absl::StrCat("client ", text); }
inline std::string ToServer(int process, absl::string_view text) { return absl::StrCat("server ", process, " ", text); }
inline constexpr absl::string_view kToolsChanged =
    R"(client {"jsonrpc":"2.0","method":"notifications/tools/list_changed"})";

class RouterTest : public ::testing::Test {
 protected:
  RouterTest() : router_(RouterOptions(), output_) { router_.StartFirst(1); }

  void Client(absl::string_view text) { router_.FromClient(absl::StrCat(text, "\n")); }
  void Server(ProcessId process, absl::string_view text) { router_.FromServer(process, absl::StrCat(text, "\n")); }
  std::vector<std::string> Calls() { return output_.TakeCalls(); }
  std::vector<std::string> Logs() { return output_.TakeLogs(); }

  void Handshake() {
    Client(kInitialize);
    Server(1, Answer("0", kResult));
    Client(kInitialized);
    Calls();
  }
  void Rotate(ProcessId process, int replay) {
    router_.StartReplacement(process);
    Server(process, Answer(ReplayId(replay), kResult));
  }
  static std::string ReplayId(int n) { return absl::StrCat("\"keyferry-replay-", n, "\""); }

  RecordingOutput output_;
  Router router_;
};

}  // namespace keyferry::injector::mcp

#endif  // KEYFERRY_INJECTOR_MCP_ROUTER_FIXTURE_H_
