#ifndef KEYFERRY_INJECTOR_MCP_SESSION_RECORD_H_
#define KEYFERRY_INJECTOR_MCP_SESSION_RECORD_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "injector/mcp/server_process.h"

namespace keyferry::injector::mcp {

// What matters of an InitializeResult (MCP specification, basic/lifecycle#initialization).
struct InitializeResult {
  std::string protocol_version;
  std::string server_name;
  // Paths such as `tools` and `tools.listChanged`; a capability that is false or null is absent.
  std::set<std::string> capabilities;

  // False if it is not an InitializeResult: protocolVersion and capabilities are needed.
  static bool Parse(absl::string_view result, InitializeResult& parsed);
};

// How a replacement's InitializeResult differs from what the client was told. Only well-known names of capabilities are
// named, others are `other`: the texts are for logs.
struct InitializeDifference {
  bool protocol_version = false;
  bool server_name = false;
  std::vector<std::string> lost;
  std::vector<std::string> gained;
};
InitializeDifference Compare(const InitializeResult& told, const InitializeResult& now);

// What a client has made of its session so far, to be made again with a replacement: the handshake, the log level, the
// subscriptions. The client's intent counts, from when its request is passed on: a request that is answered with an
// error is forgotten again, one that is still unanswered is replayed too. A further `initialize` begins anew.
class SessionRecord {
 public:
  enum class Handshake { kNone, kAsked, kAnswered, kDone };
  struct Request {
    std::string method;
    std::string params;
  };

  // A request of the client is given to a process. Returns a number to be given to OnAnswer, or 0 if the request does
  // not matter.
  uint64_t OnRequest(ProcessId process, absl::string_view text, absl::string_view method, absl::string_view params);
  // `result` is empty if it was answered with an error, or never.
  void OnAnswer(uint64_t number, absl::string_view result);
  void OnInitialized();

  Handshake handshake() const { return handshake_; }
  // The process that has the client's `initialize`, while kAsked.
  ProcessId asked() const { return asked_; }
  bool IsInitialize(uint64_t number) const { return number != 0 && number == initialize_number_; }
  // The client did not wait for the answer to its `initialize`, while kAsked.
  bool initialized_early() const { return initialized_early_; }
  // The client's own message, while kAsked.
  const std::string& initialize_text() const { return initialize_text_; }
  // Without `_meta`, whose progress token is the client's.
  const std::string& initialize_params() const { return initialize_params_; }
  const InitializeResult& told() const { return told_; }
  // logging/setLevel and resources/subscribe, in the order in which the client sent them.
  std::vector<Request> Replays() const;

 private:
  struct Level {
    uint64_t number = 0;
    std::string token;
  };
  struct Subscription {
    uint64_t number = 0;
    bool subscribed = false;
    bool was_subscribed = false;  // Before this request; holds again if it fails.
    std::string uri;              // The token.
  };

  Handshake handshake_ = Handshake::kNone;
  Handshake before_ = Handshake::kNone;  // Holds again if a further `initialize` fails.
  bool initialized_early_ = false;
  ProcessId asked_ = 0;
  uint64_t initialize_number_ = 0;
  std::string initialize_text_;
  std::string asked_params_;
  std::string initialize_params_;
  InitializeResult told_;
  Level level_;
  Level pending_level_;
  std::map<std::string, Subscription> subscriptions_;  // By the text of the URI.
  uint64_t next_ = 1;
};

}  // namespace keyferry::injector::mcp

#endif  // KEYFERRY_INJECTOR_MCP_SESSION_RECORD_H_
