#include "injector/mcp/random_world.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace keyferry::injector::mcp {
namespace {

using nlohmann::json;

constexpr char kReplayPrefix[] = "keyferry-replay-";

}  // namespace

std::string RandomWorld::NewId() {
  const int n = next_id_++;
  switch (Pick(3)) {
    case 0:
      return absl::StrCat(n);
    case 1:
      return absl::StrCat("\"", n, "\"");
    default:
      return absl::StrCat("\"q/\\\"\\u00e9", n, "\"");
  }
}

json RandomWorld::NewRequest(const std::string& method, json params) {
  const json id = json::parse(NewId());
  sent_[id.dump()].method = method;
  params["tag"] = id.dump();
  return {{"jsonrpc", "2.0"}, {"id", id}, {"method", method}, {"params", params}};
}

void RandomWorld::ClientStep() {
  if (!asked_initialize_ && Pick(3) == 0) {
    asked_initialize_ = true;
    ClientSays(NewRequest("initialize", {{"protocolVersion", "1"}, {"_meta", {{"progressToken", "hidden"}}}}));
  } else if (asked_initialize_ && !said_initialized_ && (initialize_answered_ || Pick(8) == 0)) {
    said_initialized_ = true;
    ClientSays({{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}});
  }
  const bool operating = said_initialized_ || Pick(10) == 0;
  switch (Pick(12)) {
    case 0:
      return CancelSomething();
    case 1:
    case 2:
    case 3:
      return AnswerSomething();
    case 4:
      return ClientSays(NewRequest("ping", json::object()));
    case 5:
      return ClientSays({{"jsonrpc", "2.0"}, {"method", Pick(2) == 0 ? "notifications/roots/list_changed" : "n"}});
    case 6:
      if (!operating) return;
      return ClientSays(
          json::array({NewRequest("tools/call", json::object()), NewRequest("tools/list", json::object())}));
    case 7:
      if (!operating) return;
      if (Pick(3) == 0) return ClientSays(NewRequest("logging/setLevel", {{"level", "info"}}));
      return ClientSays(NewRequest(Pick(2) == 0 ? "resources/subscribe" : "resources/unsubscribe",
                                   {{"uri", absl::StrCat("u:", Pick(3))}}));
    default:
      if (operating) ClientSays(NewRequest("tools/call", json::object()));
  }
}

void RandomWorld::CancelSomething() {
  std::vector<std::string> open;
  for (const auto& [id, request] : sent_) {
    if (!request.cancelled && request.method != "initialize" && (request.answers == 0 || Pick(10) == 0))
      open.push_back(id);
  }
  if (open.empty()) return;
  const std::string& id = open[Pick(open.size())];
  if (sent_[id].answers == 0) {
    sent_[id].cancelled = true;
    tally_("cancelled by the client");
  }
  ClientSays({{"jsonrpc", "2.0"}, {"method", "notifications/cancelled"}, {"params", {{"requestId", json::parse(id)}}}});
}

void RandomWorld::AnswerSomething() {
  if (open_asked_.empty()) return;
  const auto [id, tag] = *Any(open_asked_);
  if (Pick(4) == 0) {
    return ClientSays({{"jsonrpc", "2.0"},
                       {"method", "notifications/progress"},
                       {"params", {{"progressToken", json::parse(id)}, {"tag", tag}}}});
  }
  if (Pick(8) != 0) open_asked_.erase(id);  // Or it answers twice.
  ClientSays({{"jsonrpc", "2.0"}, {"id", json::parse(id)}, {"result", {{"tag", tag}}}});
}

void RandomWorld::ToClient(absl::string_view line) {
  ASSERT_EQ(line.find('\n'), line.size() - 1);
  ASSERT_EQ(line.find(kReplayPrefix), absl::string_view::npos) << line;
  ASSERT_EQ(line.find("hidden"), absl::string_view::npos) << line;
  const json message = json::parse(std::string(line));
  if (!message.is_array()) return ClientHears(message);
  for (const json& element : message) ClientHears(element);
}

void RandomWorld::ClientHears(const json& message) {
  if (!message.contains("method")) {
    const auto entry = sent_.find(message["id"].dump());
    ASSERT_NE(entry, sent_.end()) << message;
    SentRequest& request = entry->second;
    ASSERT_EQ(++request.answers, 1) << message;
    if (request.method == "initialize") {
      initialize_answered_ = message.contains("result");
      if (!initialize_answered_) asked_initialize_ = said_initialized_ = false;
    }
    if (request.cancelled) tally_("answer after cancellation");
    if (message.contains("result") && message["result"].contains("by")) {
      ASSERT_EQ(message["result"]["by"], request.given_to) << message;
      ASSERT_EQ(message["result"]["tag"], entry->first) << message;
    } else if (message.contains("error") && message["error"]["code"] != -1) {
      // Made by the router: nobody has it, or whoever has it is gone.
      const bool gone =
          request.given_to == 0 || exited_.count(request.given_to) != 0 || servers_.at(request.given_to).drain_expired;
      ASSERT_TRUE(gone) << message;
      tally_("error of our own");
    } else {
      ASSERT_TRUE(request.method == "ping" || message["error"]["by"] == request.given_to) << message;
    }
  } else if (message.contains("id")) {
    ASSERT_TRUE(asked_ids_.insert(message["id"].dump()).second) << message;
    const std::string tag = message["params"]["tag"];
    ASSERT_EQ(++asked_.at(tag).forwarded, 1);
    ASSERT_EQ(message["params"]["_meta"]["progressToken"], message["id"]);
    open_asked_[message["id"].dump()] = tag;
  } else if (message["method"] == "notifications/cancelled") {
    ASSERT_EQ(asked_ids_.count(message["params"]["requestId"].dump()), 1u) << message;
    if (Pick(2) == 0) open_asked_.erase(message["params"]["requestId"].dump());
  }
}

void RandomWorld::ToServer(ProcessId process, absl::string_view line) {
  ASSERT_EQ(line.find('\n'), line.size() - 1);
  const auto entry = servers_.find(process);
  ASSERT_NE(entry, servers_.end());
  ASSERT_FALSE(entry->second.input_closed || entry->second.discarded) << line;
  const json message = json::parse(std::string(line));
  if (!message.is_array()) return Hears(process, message);
  for (const json& element : message) Hears(process, element);
}

void RandomWorld::Hears(ProcessId process, const json& message) {
  SimulatedServer& server = servers_.at(process);
  const std::string method = message.value("method", "");
  if (method.empty()) {
    if (server.early_pings > 0 && message["id"] == "ping") {
      --server.early_pings;
      return;
    }
    AskedRequest& asked = asked_.at(message["result"]["tag"]);
    ASSERT_EQ(asked.owner, process) << message;
    ASSERT_EQ(asked.id, message["id"]) << message;
    ASSERT_EQ(++asked.answers, 1) << message;
    server.waits_for.erase(message["result"]["tag"]);
    tally_("server request answered");
    return;
  }
  const bool replay =
      message.contains("id") && message["id"].is_string() && message["id"].get<std::string>().find(kReplayPrefix) == 0;
  if (!server.ready) {
    ASSERT_TRUE(replay || method == "notifications/initialized") << message;
    ASSERT_TRUE(method == "initialize" || server.answered_initialize) << message;
  }
  if (method == "notifications/initialized") {
    ASSERT_FALSE(server.told_initialized);
    server.told_initialized = true;
  } else if (method == "notifications/cancelled") {
    const auto entry = sent_.find(message["params"]["requestId"].dump());
    ASSERT_NE(entry, sent_.end());
    ASSERT_EQ(entry->second.given_to, process) << message;
  } else if (method == "notifications/progress") {
    const AskedRequest& asked = asked_.at(message["params"]["tag"]);
    ASSERT_EQ(asked.owner, process) << message;
    ASSERT_EQ(asked.id, message["params"]["progressToken"]) << message;
  } else if (message.contains("id") && !replay) {
    SentRequest& request = sent_.at(message["id"].dump());
    const bool moved = method == "initialize" && exited_.count(request.given_to) != 0;
    ASSERT_TRUE(request.given_to == 0 || moved) << message;
    request.given_to = process;
    if (initialize_answered_ && said_initialized_ && method != "ping" && method != "initialize") {
      ASSERT_TRUE(server.told_initialized) << process << " " << message;
    }
  }
  server.inbox.push_back(message);
}

void RandomWorld::ServerStep(ProcessId process) {
  SimulatedServer& server = servers_.at(process);
  switch (Pick(20)) {
    case 0:
      if (Pick(6) == 0) {
        tally_("crash");
        Exit(process);
      }
      return;
    case 1:
      return router_.FromServer(process, "Listening...\n");
    case 2:
      return AnswerUnasked(process);
    case 3:
      return ServerSays(process,
                        {{"jsonrpc", "2.0"},
                         {"method", Pick(2) == 0 ? "notifications/tools/list_changed" : "notifications/message"}});
    case 4:
    case 5:
      return Ask(process);
    case 6:
      if (server.ready || server.discarded || server.input_closed) return;
      ++server.early_pings;
      return ServerSays(process, {{"jsonrpc", "2.0"}, {"id", "ping"}, {"method", "ping"}});
    case 7:
      if (server.waits_for.empty()) return;
      {
        const std::string tag = *Any(server.waits_for);
        if (!server.ready) return;
        server.waits_for.erase(tag);
        asked_[tag].cancelled = true;
        tally_("cancelled by a server");
        return ServerSays(
            process,
            {{"jsonrpc", "2.0"}, {"method", "notifications/cancelled"}, {"params", {{"requestId", asked_[tag].id}}}});
      }
    default:
      if (Pick(2) == 0) return Deliver(process);
      if (!server.pending.empty()) AnswerPending(process, Pick(server.pending.size()));
  }
}

void RandomWorld::Deliver(ProcessId process) {
  SimulatedServer& server = servers_.at(process);
  if (server.inbox.empty()) return;
  const json message = server.inbox.front();
  server.inbox.pop_front();
  if (message.contains("id") && message.contains("method")) server.pending.push_back(message);
  if (message.value("method", "") != "notifications/cancelled" || Pick(3) == 0) return;
  for (auto request = server.pending.begin(); request != server.pending.end(); ++request) {
    if ((*request)["id"] != message["params"]["requestId"]) continue;
    server.pending.erase(request);
    return;
  }
}

// With the id of a request that some other process may have.
void RandomWorld::AnswerUnasked(ProcessId process) {
  const json id = Pick(static_cast<uint64_t>(next_id_) + 5);
  const auto entry = sent_.find(id.dump());
  if (entry != sent_.end() && entry->second.given_to == process) return;
  ServerSays(process, {{"jsonrpc", "2.0"}, {"id", id}, {"result", {{"by", -1}}}});
}

json RandomWorld::InitializeAnswer(const json& request) {
  json capabilities = {{"tools", {{"listChanged", true}}}, {"logging", json::object()}};
  const uint64_t kind = Pick(10);
  if (kind == 0) return {{"code", -1}, {"message", "no"}};
  if (kind == 1) capabilities.erase("logging");
  return {{"protocolVersion", kind == 2 ? "2" : "1"}, {"capabilities", capabilities}};
}

void RandomWorld::AnswerPending(ProcessId process, size_t index) {
  SimulatedServer& server = servers_.at(process);
  const json request = server.pending[index];
  const bool initialize = request["method"] == "initialize";
  if (initialize && Pick(4) != 0) return;  // It takes its time, perhaps too long.
  server.pending.erase(server.pending.begin() + static_cast<std::ptrdiff_t>(index));
  json answer = {{"jsonrpc", "2.0"}, {"id", request["id"]}};
  json content = initialize ? InitializeAnswer(request) : json::object();
  const bool error = content.contains("code") || (!initialize && Pick(5) == 0);
  content["by"] = process;
  content["tag"] = request["params"].value("tag", "");
  if (error) content["code"] = -1;
  answer[error ? "error" : "result"] = content;
  if (initialize && !error) server.answered_initialize = true;
  ServerSays(process, answer);
  if (Pick(20) == 0 && servers_.count(process) != 0) ServerSays(process, answer);
}

void RandomWorld::Ask(ProcessId process) {
  SimulatedServer& server = servers_.at(process);
  const std::string tag = absl::StrCat(process, ".", server.next_id);
  const json id = server.next_id++;  // Every process counts from 1.
  asked_[tag].owner = process;
  asked_[tag].id = id;
  server.waits_for.insert(tag);
  ServerSays(process, {{"jsonrpc", "2.0"},
                       {"id", id},
                       {"method", "sampling/createMessage"},
                       {"params", {{"tag", tag}, {"_meta", {{"progressToken", id}}}}}});
}

void RandomWorld::Exit(ProcessId process) {
  const bool was_current = router_.current() == process;
  const bool discarded = servers_.at(process).discarded;
  servers_.erase(process);
  exited_.insert(process);
  router_.ServerExited(process);
  if (discarded) return;
  if (serial_ && router_.current() == 0) {
    serial_ = false;
    router_.StartReplacement(StartServer());
    tally_("serial rotation");
  } else if (was_current && Pick(2) == 0) {
    router_.StartReplacement(StartServer());
    tally_("restart");
  }
}

void RandomWorld::HostStep() {
  const ProcessId process = servers_.empty() ? 0 : Any(servers_)->first;
  switch (Pick(6)) {
    case 0:
      if (!serial_ && servers_.size() < 6) router_.StartReplacement(StartServer());
      return;
    case 1:
      if (serial_ || router_.current() == 0 || Pick(3) != 0) return;
      serial_ = true;
      return router_.BeginSerial();
    case 2:
      if (process == 0 || !router_.Draining(process) || Pick(2) == 0) return;
      servers_.at(process).drain_expired = true;
      tally_("drain timeout");
      return router_.DrainTimeout(process);
    case 3:
      if (Pick(4) == 0) router_.InitializeTimeout(process);
      return;
    default:
      if (process != 0 && (servers_.at(process).input_closed || servers_.at(process).discarded)) Exit(process);
  }
}

void RandomWorld::Step() {
  const uint64_t kind = Pick(10);
  if (kind < 4) return ClientStep();
  if (kind == 4) return HostStep();
  if (!servers_.empty()) ServerStep(Any(servers_)->first);
  if (router_.held_bytes() != 0) tally_("held");
}

// All servers do what they are asked, then all end.
void RandomWorld::Finish() {
  for (int round = 0; round < 200; ++round) {
    std::vector<ProcessId> running;
    for (const auto& [process, server] : servers_) running.push_back(process);
    for (const ProcessId process : running) {
      while (servers_.count(process) != 0 && !servers_.at(process).inbox.empty()) Deliver(process);
      while (servers_.count(process) != 0 && !servers_.at(process).pending.empty()) AnswerPending(process, 0);
    }
  }
  while (!open_asked_.empty()) AnswerSomething();
  if (router_.current() != 0 && router_.held_bytes() == 0) {
    for (const auto& [id, request] : sent_) EXPECT_EQ(request.answers + (request.cancelled ? 1 : 0) > 0, true) << id;
  }
  while (!servers_.empty()) Exit(servers_.begin()->first);
  if (serial_) router_.StartReplacement(StartServer());
  while (!servers_.empty()) Exit(servers_.begin()->first);
  EXPECT_EQ(router_.held_bytes(), 0u);
  for (const auto& [id, request] : sent_) {
    if (request.cancelled) {
      EXPECT_LE(request.answers, 1) << id;
    } else {
      EXPECT_EQ(request.answers, 1) << id << " " << request.method << " had by " << request.given_to;
    }
    tally_("request");
  }
}

}  // namespace keyferry::injector::mcp
