#ifndef KEYFERRY_INJECTOR_MCP_RANDOM_WORLD_H_
#define KEYFERRY_INJECTOR_MCP_RANDOM_WORLD_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "injector/mcp/router.h"
#include "nlohmann/json.hpp"

namespace keyferry::injector::mcp {

// How often what is worth testing has happened, over all seeds.
struct Tally {
  std::map<std::string, int> counts;
  void operator()(const std::string& event) { ++counts[event]; }
};

struct SentRequest {  // By the client.
  std::string method;
  ProcessId given_to = 0;
  int answers = 0;
  bool cancelled = false;
};

struct AskedRequest {  // By a server.
  ProcessId owner = 0;
  nlohmann::json id;
  bool cancelled = false;
  int forwarded = 0;
  int answers = 0;
};

struct SimulatedServer {
  std::deque<nlohmann::json> inbox;
  std::vector<nlohmann::json> pending;  // Requests that it has not answered.
  std::set<std::string> waits_for;      // Tags of its own requests.
  bool ready = false;
  bool answered_initialize = false;
  bool told_initialized = false;
  bool input_closed = false;
  bool discarded = false;
  bool drain_expired = false;
  int next_id = 1;
  int early_pings = 0;
};

// A client, servers and a host that do what they do at random, and check what the router makes of it: gtest failures
// say what it does not keep. Messages are read with another JSON parser than the router's. Not thread-safe.
class RandomWorld : public RouterOutput {
 public:
  RandomWorld(uint64_t seed, Tally& tally) : random_(seed), tally_(tally), router_(RouterOptions(), *this) {
    StartServer();
    servers_.begin()->second.ready = true;
    router_.StartFirst(1);
  }

  void Step();
  void Finish();

  void ToClient(absl::string_view line) override;
  void ToServer(ProcessId process, absl::string_view line) override;
  void CloseInput(ProcessId process) override {
    ASSERT_FALSE(servers_.at(process).input_closed);
    servers_.at(process).input_closed = true;
    closed_.push_back(process);
  }
  void Discard(ProcessId process, absl::string_view why) override {
    SimulatedServer& server = servers_.at(process);
    ASSERT_FALSE(server.ready);
    server.discarded = true;
    tally_("discard");
  }
  void Ready(ProcessId process) override {
    ASSERT_FALSE(servers_.at(process).ready);
    servers_.at(process).ready = true;
    tally_("ready");
  }
  void Log(ProcessId process, absl::string_view line) override {
    ASSERT_LT(process, next_process_);
    ASSERT_EQ(line.find('\n'), absl::string_view::npos);
  }

 private:
  uint64_t Pick(uint64_t n) { return random_() % n; }
  ProcessId StartServer() {
    servers_[next_process_];
    return next_process_++;
  }
  template <typename Map>
  typename Map::iterator Any(Map& map) {
    return std::next(map.begin(), static_cast<std::ptrdiff_t>(Pick(map.size())));
  }

  // The client.
  void ClientStep();
  std::string NewId();
  nlohmann::json NewRequest(const std::string& method, nlohmann::json params);
  void ClientSays(const nlohmann::json& message) { router_.FromClient(message.dump() + "\n"); }
  void CancelSomething();
  void AnswerSomething();
  void ClientHears(const nlohmann::json& message);

  // The servers.
  void ServerStep(ProcessId process);
  void ServerSays(ProcessId process, const nlohmann::json& message) {
    router_.FromServer(process, message.dump() + "\n");
  }
  void Deliver(ProcessId process);
  void AnswerPending(ProcessId process, size_t index);
  void AnswerUnasked(ProcessId process);
  nlohmann::json InitializeAnswer(const nlohmann::json& request);
  void Ask(ProcessId process);
  void Hears(ProcessId process, const nlohmann::json& message);
  void Exit(ProcessId process);

  // The host.
  void HostStep();

  std::mt19937_64 random_;
  Tally& tally_;
  Router router_;

  std::map<std::string, SentRequest> sent_;        // By the id's JSON text.
  std::map<std::string, std::string> open_asked_;  // What the client may answer: id's text to tag.
  std::set<std::string> asked_ids_;                // Ever used toward the client.
  bool asked_initialize_ = false;
  bool initialize_answered_ = false;
  bool said_initialized_ = false;

  std::map<ProcessId, SimulatedServer> servers_;  // Running.
  std::set<ProcessId> exited_;
  std::map<std::string, AskedRequest> asked_;  // By tag.
  std::vector<ProcessId> closed_;
  ProcessId next_process_ = 1;
  int next_id_ = 1;
  bool serial_ = false;  // Waits for the current one to exit.
};

}  // namespace keyferry::injector::mcp

#endif  // KEYFERRY_INJECTOR_MCP_RANDOM_WORLD_H_
