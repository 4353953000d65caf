#ifndef KEYFERRY_INJECTOR_MCP_SERVER_PROCESS_H_
#define KEYFERRY_INJECTOR_MCP_SERVER_PROCESS_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace keyferry::injector::mcp {

// An incarnation of the server: 1, 2, 3...; never 0.
using ProcessId = uint64_t;

// The requests of the client that one process has and has not answered.
class ClientRequests {
 public:
  struct Request {
    std::string id;       // As the client wrote it.
    uint64_t record = 0;  // See SessionRecord; 0 if nothing is recorded.
    int copies = 1;       // A client that uses an id twice is owed two answers.
    bool cancelled = false;
  };

  // Cancelled requests may or may not be answered; the oldest ones beyond this many are forgotten.
  static constexpr size_t kMaxCancelled = 256;

  void Add(const std::string& id_key, absl::string_view id, uint64_t record);
  // Takes the request that an answer with this id belongs to. False if there is none.
  bool Take(const std::string& id_key, Request& request);
  // False if there is none. `record` must not be that of an `initialize`, which cannot be cancelled.
  bool Cancel(const std::string& id_key);
  const Request* Find(const std::string& id_key) const;

  // Not cancelled.
  size_t open() const { return open_; }
  // Takes all; the ones not cancelled are returned, in the order of their ids' keys.
  std::vector<Request> TakeAll();

 private:
  absl::flat_hash_map<std::string, Request> requests_;
  std::deque<std::string> cancelled_;
  size_t open_ = 0;
};

// A request of our own, sent to a replacement. Its answer never reaches the client.
enum class Replay { kInitialize, kSessionState };

struct ServerProcess {
  enum class Stage {
    kWaiting,       // Replacement; the client's own handshake is not answered yet.
    kInitializing,  // Replacement; `initialize` was replayed to it.
    kCurrent,
    kDraining,   // Finishes what it has; input is open.
    kClosed,     // Input is closed; what it still says passes.
    kDiscarded,  // What it still says is ignored.
  };

  ProcessId id = 0;
  Stage stage = Stage::kWaiting;
  ClientRequests requests;
  std::map<std::string, Replay> replays;  // By id key.
  bool asked_initialize = false;
  bool told_initialized = false;
  bool replaced = false;  // Another one has taken over.

  // What it said before it was ready.
  std::vector<std::string> early;
  size_t early_bytes = 0;
  // What it was answered before it was ready.
  size_t early_answer_bytes = 0;

  // For logs.
  uint64_t garbage = 0;
  uint64_t stray_answers = 0;
  uint64_t dropped = 0;
  uint64_t unanswered = 0;

  bool input_open() const { return stage != Stage::kClosed && stage != Stage::kDiscarded; }
  bool ready() const { return stage == Stage::kCurrent || stage == Stage::kDraining; }
  bool replacement() const { return stage == Stage::kWaiting || stage == Stage::kInitializing; }
};

}  // namespace keyferry::injector::mcp

#endif  // KEYFERRY_INJECTOR_MCP_SERVER_PROCESS_H_
