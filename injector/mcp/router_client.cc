// What the client says.
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "injector/mcp/json_object.h"
#include "injector/mcp/own_messages.h"
#include "injector/mcp/router.h"

namespace keyferry::injector::mcp {
namespace {

using Handshake = SessionRecord::Handshake;
using Kind = MessageHead::Kind;

bool IsBlank(absl::string_view line) { return line.find_first_not_of(" \t\r\n") == absl::string_view::npos; }

// The key of an id or progress token in the parameters. False if there is none that all readers agree on.
bool FindIdKey(absl::string_view params, absl::string_view name, absl::string_view& token, std::string& key) {
  return FindJsonMember(params, name, token) == JsonMember::kFound && IdKey(token, key);
}

}  // namespace

void Router::FromClient(absl::string_view line) {
  if (line.size() > options_.max_message_bytes + 2) {
    OversizedFromClient();
    return;
  }
  if (IsBlank(line)) return;
  std::vector<absl::string_view> texts;
  std::vector<MessageHead> heads;
  if (BeginLine(line, texts, heads)) {
    for (size_t i = 0; i < texts.size(); ++i) HandleClientMessage(texts[i], heads[i]);
  } else {
    LogCounted(client_garbage_, /*process=*/0,
               "The client wrote a line that is not an MCP message; it is not passed on");
    SendToClient(ErrorMessage("null", kParseError, "This line is not a JSON-RPC 2.0 message as MCP has it"));
  }
  EndLine();
  Settle();
}

void Router::OversizedFromClient() {
  const std::string problem = absl::StrCat("The client wrote a message of more than ", options_.max_message_bytes,
                                           " bytes; it is not passed on");
  LogCounted(client_garbage_, /*process=*/0, problem);
  SendToClient(ErrorMessage("null", kInvalidRequest, problem));
}

void Router::HandleClientMessage(absl::string_view text, const MessageHead& head) {
  switch (head.kind) {
    case Kind::kRequest:
      return ClientRequest(text, head);
    case Kind::kNotification:
      return ClientNotification(text, head);
    case Kind::kResult:
    case Kind::kError:
      return ClientResponse(text, head);
  }
}

void Router::ClientRequest(absl::string_view text, const MessageHead& head) {
  ServerProcess* const current = Find(current_);
  if (absl::StartsWith(head.id_key, absl::StrCat("s", kReplayIdPrefix))) {
    SendToClient(ErrorMessage(head.id, kInvalidRequest, "Request ids that begin like this are reserved"));
  } else if (Holding() && head.method == "ping") {
    // Whether the other side is alive is no matter that waits for a process.
    if (current != nullptr) {
      GiveRequest(*current, text, head);
    } else {
      SendToClient(EmptyResultMessage(head.id));
    }
  } else if (Holding()) {
    Hold(text, head);
  } else if (current != nullptr) {
    GiveRequest(*current, text, head);
  } else {
    SendToClient(ErrorMessage(head.id, kServerGone, "The MCP server process has ended"));
  }
}

void Router::GiveRequest(ServerProcess& process, absl::string_view text, const MessageHead& head) {
  const uint64_t record = session_.OnRequest(process.id, text, head.method, head.params);
  if (session_.IsInitialize(record)) process.asked_initialize = true;
  process.requests.Add(head.id_key, head.id, record);
  SendToServer(process, text);
}

void Router::ClientNotification(absl::string_view text, const MessageHead& head) {
  if (head.method == "notifications/initialized") return ClientInitialized(text, head);
  if (head.method == "notifications/cancelled") return ClientCancelled(text, head);
  if (head.method == "notifications/progress") return ClientProgress(text, head);
  if (head.method == "notifications/roots/list_changed") {
    // A process that is not ready yet asks for the roots when it is.
    for (auto& [id, process] : processes_) {
      if (process.ready()) SendToServer(process, text);
    }
  } else if (Holding()) {
    Hold(text, head);
  } else if (ServerProcess* const current = Find(current_)) {
    SendToServer(*current, text);
  }
}

void Router::ClientInitialized(absl::string_view text, const MessageHead& head) {
  if (Holding() && session_.handshake() == Handshake::kNone) {
    Hold(text, head);
    return;
  }
  session_.OnInitialized();
  ServerProcess* const current = Find(current_);
  if (session_.handshake() == Handshake::kNone && current != nullptr) SendToServer(*current, text);
  for (auto& [id, process] : processes_) {
    if (!process.ready() || !process.asked_initialize || process.told_initialized) continue;
    process.told_initialized = true;
    SendToServer(process, text);
  }
}

void Router::ClientCancelled(absl::string_view text, const MessageHead& head) {
  absl::string_view token;
  std::string key;
  if (!FindIdKey(head.params, "requestId", token, key) || Unhold(key)) return;
  for (auto entry = processes_.rbegin(); entry != processes_.rend(); ++entry) {
    ServerProcess& process = entry->second;
    const ClientRequests::Request* const request = process.requests.Find(key);
    if (request == nullptr || request->cancelled) continue;
    if (!session_.IsInitialize(request->record)) process.requests.Cancel(key);
    SendToServer(process, text);
    return;
  }
}

void Router::ClientProgress(absl::string_view text, const MessageHead& head) {
  absl::string_view token;
  std::string key;
  if (!FindIdKey(head.params, "progressToken", token, key)) return;
  const ServerRequests::Request* const request = server_requests_.Find(key);
  if (request == nullptr || request->progress_token.empty()) return;
  ServerProcess* const owner = Find(request->owner);
  if (owner != nullptr) SendToServer(*owner, Spliced(text, token, request->progress_token));
}

void Router::ClientResponse(absl::string_view text, const MessageHead& head) {
  if (head.id_key.empty()) {
    ServerProcess* const current = Find(current_);
    if (current != nullptr) SendToServer(*current, text);
    return;
  }
  const ServerRequests::Request* const request = server_requests_.Find(head.id_key);
  ServerProcess* const owner = request == nullptr ? nullptr : Find(request->owner);
  if (owner == nullptr) {
    LogCounted(stray_client_answers_, /*process=*/0,
               "The client answered a request that no process waits for; it is not passed on");
    return;
  }
  SendToServer(*owner, Spliced(text, head.id, request->id));
  server_requests_.Remove(head.id_key);
}

bool Router::Holding() const { return serial_ || (current_ == 0 && replacement_ != 0); }

void Router::Hold(absl::string_view text, const MessageHead& head) {
  if (held_bytes_ + text.size() > options_.max_held_bytes) {
    LogCounted(dropped_client_messages_, /*process=*/0,
               "Too many messages of the client wait for the MCP server to be replaced");
    if (head.kind == Kind::kRequest) {
      SendToClient(ErrorMessage(head.id, kTooManyHeld, "Too many requests wait for the MCP server to be replaced"));
    }
    return;
  }
  held_bytes_ += text.size();
  held_.push_back({std::string(text), head.id_key});
}

bool Router::Unhold(const std::string& id_key) {
  for (auto message = held_.begin(); message != held_.end(); ++message) {
    if (message->id_key != id_key) continue;
    held_bytes_ -= message->text.size();
    held_.erase(message);
    return true;
  }
  return false;
}

void Router::FlushHeld() {
  std::deque<HeldMessage> held;
  held.swap(held_);
  held_bytes_ = 0;
  MessageHead head;
  for (const HeldMessage& message : held) {
    if (ParseMessageHead(message.text, head)) HandleClientMessage(message.text, head);
  }
}

void Router::FailHeld() {
  MessageHead head;
  for (const HeldMessage& message : held_) {
    if (!message.id_key.empty() && ParseMessageHead(message.text, head)) {
      SendToClient(ErrorMessage(head.id, kServerGone, "The MCP server process ended and could not be replaced"));
    }
  }
  held_.clear();
  held_bytes_ = 0;
}

}  // namespace keyferry::injector::mcp
