// Life and death of processes.
#include "injector/mcp/router.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "injector/mcp/own_messages.h"

namespace keyferry::injector::mcp {
namespace {

using Stage = ServerProcess::Stage;
using Handshake = SessionRecord::Handshake;

}  // namespace

Router::Router(RouterOptions options, RouterOutput& output) : options_(options), output_(output) {}

void Router::StartFirst(ProcessId id) {
  ServerProcess& process = processes_[id];
  process.id = id;
  process.stage = Stage::kCurrent;
  current_ = id;
}

void Router::StartReplacement(ProcessId id) {
  if (replacement_ != 0) DiscardReplacement("a newer one was started");
  ServerProcess& process = processes_[id];
  process.id = id;
  replacement_ = id;
  if (client_closed_ && (current_ != 0 || held_.empty())) {
    DiscardReplacement("the client is gone");
    ReplacementFailed();
  }
  Settle();
}

void Router::BeginSerial() {
  serial_ = true;
  if (replacement_ != 0) DiscardReplacement("a newer one is to be started");
  if (ServerProcess* const process = Find(current_)) process->stage = Stage::kDraining;
  Settle();
}

void Router::ClientClosed() {
  client_closed_ = true;
  if (replacement_ != 0 && (current_ != 0 || held_.empty())) DiscardReplacement("the client is gone");
  if (held_.empty()) serial_ = false;
  for (auto& [id, process] : processes_) {
    if (process.ready()) Close(process);
  }
}

void Router::ServerExited(ProcessId id) {
  ServerProcess* const process = Find(id);
  if (process == nullptr) return;
  const bool replacement = id == replacement_;
  if (id == current_) current_ = 0;
  process->stage = Stage::kClosed;
  if (replacement) {
    replacement_ = 0;
    output_.Log(id, "ended before it was initialized");
    ReplacementFailed();
  }
  MoveInitialize(*process);
  if (process->requests.open() != 0 && !client_closed_) {
    output_.Log(id, absl::StrCat("ended with ", process->requests.open(), " requests unanswered; the client is told"));
  }
  FailOutstanding(*process, kServerGone, "The MCP server process ended before it answered this request");
  processes_.erase(id);
  Settle();
}

void Router::DrainTimeout(ProcessId id) {
  ServerProcess* const process = Find(id);
  if (process == nullptr || process->stage != Stage::kDraining) return;
  output_.Log(id, absl::StrCat("is ended with ", Outstanding(id), " requests unanswered: it took too long"));
  FailOutstanding(*process, kDrainedTooLong,
                  "The MCP server process that had this request was replaced and did not answer in time");
  Close(*process);
  Settle();
}

void Router::InitializeTimeout(ProcessId id) {
  if (id == 0 || id != replacement_) return;
  DiscardReplacement("it did not answer `initialize` in time");
  ReplacementFailed();
  Settle();
}

bool Router::Draining(ProcessId id) const {
  const auto entry = processes_.find(id);
  return entry != processes_.end() && entry->second.stage == Stage::kDraining;
}

size_t Router::Outstanding(ProcessId id) const {
  const auto entry = processes_.find(id);
  return entry == processes_.end() ? 0 : entry->second.requests.open() + server_requests_.CountOf(id);
}

void Router::BeginHandshake(ServerProcess& process) {
  if (session_.handshake() == Handshake::kNone) {
    TakeOver(process);
    return;
  }
  process.stage = Stage::kInitializing;
  process.asked_initialize = true;
  SendReplay(process, Replay::kInitialize, "initialize", session_.initialize_params());
}

void Router::SendReplay(ServerProcess& process, Replay kind, absl::string_view method, absl::string_view params) {
  const std::string id = absl::StrCat(kReplayIdPrefix, next_replay_++);
  process.replays.emplace(absl::StrCat("s", id), kind);
  SendToServer(process, RequestMessage(absl::StrCat("\"", id, "\""), method, params));
}

void Router::TakeOver(ServerProcess& process) {
  ServerProcess* const old = Find(current_);
  if (session_.handshake() == Handshake::kDone) {
    process.told_initialized = true;
    SendToServer(process, NotificationMessage("notifications/initialized"));
  }
  if (process.asked_initialize) {
    for (const SessionRecord::Request& request : session_.Replays()) {
      SendReplay(process, Replay::kSessionState, request.method, request.params);
    }
  }
  if (old != nullptr) {
    old->stage = Stage::kDraining;
    old->replaced = true;
  }
  process.stage = Stage::kCurrent;
  current_ = process.id;
  replacement_ = 0;
  serial_ = false;
  output_.Ready(process.id);
  FlushHeld();

  std::vector<std::string> early;
  early.swap(process.early);
  MessageHead head;
  for (const std::string& text : early) {
    if (ParseMessageHead(text, head)) HandleServerMessage(process, text, head);
  }
  if (session_.handshake() == Handshake::kDone) NotifyListsChanged();
  if (client_closed_) Close(process);
}

void Router::NotifyListsChanged() {
  for (const absl::string_view list : {"tools", "prompts", "resources"}) {
    if (session_.told().capabilities.count(absl::StrCat(list, ".listChanged")) == 0) continue;
    SendToClient(NotificationMessage(absl::StrCat("notifications/", list, "/list_changed")));
  }
}

void Router::DiscardReplacement(absl::string_view why) {
  ServerProcess& process = processes_[replacement_];
  replacement_ = 0;
  process.stage = Stage::kDiscarded;
  process.early.clear();
  output_.Discard(process.id, why);
}

// The old one stays, if it is still there.
void Router::ReplacementFailed() {
  serial_ = false;
  ServerProcess* const old = Find(current_);
  if (old == nullptr) {
    FailHeld();
    return;
  }
  old->stage = Stage::kCurrent;
  FlushHeld();
}

// A process died with the client's `initialize`: the replacement that waits for the answer gets the request itself.
void Router::MoveInitialize(ServerProcess& process) {
  if (session_.handshake() != Handshake::kAsked || session_.asked() != process.id || replacement_ == 0) return;
  std::string text = session_.initialize_text();
  const bool initialized = session_.initialized_early();
  MessageHead head;
  ClientRequests::Request request;
  if (!ParseMessageHead(text, head) || !process.requests.Take(head.id_key, request)) return;
  session_.OnAnswer(request.record, /*result=*/"");
  if (initialized) {
    held_.push_front({NotificationMessage("notifications/initialized"), ""});
    held_bytes_ += held_.front().text.size();
  }
  held_bytes_ += text.size();
  held_.push_front({std::move(text), std::move(head.id_key)});
}

void Router::FailOutstanding(ServerProcess& process, int code, absl::string_view message) {
  for (const ClientRequests::Request& request : process.requests.TakeAll()) {
    for (int i = 0; i < request.copies; ++i) SendToClient(ErrorMessage(request.id, code, message));
    if (!session_.IsInitialize(request.record)) SendToServer(process, CancelledMessage(request.id, message));
    session_.OnAnswer(request.record, /*result=*/"");
  }
  WithdrawServerRequests(process);
}

void Router::WithdrawServerRequests(ServerProcess& process) {
  for (const uint64_t number : server_requests_.NumbersOf(process.id)) {
    server_requests_.Remove(number);
    if (client_closed_) continue;
    SendToClient(CancelledMessage(absl::StrCat(number), "The MCP server process that asked has ended"));
  }
}

void Router::Close(ServerProcess& process) {
  WithdrawServerRequests(process);
  process.stage = Stage::kClosed;
  if (process.id == current_) current_ = 0;
  output_.CloseInput(process.id);
}

void Router::Settle() {
  ServerProcess* const replacement = Find(replacement_);
  if (replacement != nullptr && replacement->stage == Stage::kWaiting && session_.handshake() != Handshake::kAsked) {
    BeginHandshake(*replacement);
  }
  for (auto& [id, process] : processes_) {
    if (process.stage == Stage::kDraining && Outstanding(id) == 0) Close(process);
  }
}

}  // namespace keyferry::injector::mcp
