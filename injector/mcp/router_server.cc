// What a process says.
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "injector/mcp/json_object.h"
#include "injector/mcp/own_messages.h"
#include "injector/mcp/router.h"

namespace keyferry::injector::mcp {
namespace {

using Kind = MessageHead::Kind;
using Stage = ServerProcess::Stage;

// Of what a replacement is answered before it is ready: some thousand pings.
constexpr size_t kMaxEarlyAnswerBytes = 256 * 1024;

bool IsBlank(absl::string_view line) { return line.find_first_not_of(" \t\r\n") == absl::string_view::npos; }

// The progress token of a request; empty without one. False if two readers could see different ones.
bool FindProgressToken(absl::string_view params, absl::string_view& token) {
  if (!absl::StartsWith(params, "{")) return true;
  absl::string_view meta;
  const JsonMember found = FindJsonMember(params, "_meta", meta);
  if (found != JsonMember::kFound) return found == JsonMember::kAbsent;
  if (!absl::StartsWith(meta, "{")) return true;
  return FindJsonMember(meta, "progressToken", token) != JsonMember::kUnclear;
}

}  // namespace

void Router::FromServer(ProcessId id, absl::string_view line) {
  ServerProcess* const process = Find(id);
  if (process == nullptr || process->stage == Stage::kDiscarded || IsBlank(line)) return;
  if (line.size() > options_.max_message_bytes + 2) {
    OversizedFromServer(id);
    return;
  }
  std::vector<absl::string_view> texts;
  std::vector<MessageHead> heads;
  if (BeginLine(line, texts, heads)) {
    // What a replacement says one by one can have it take over in the middle.
    if (process->replacement()) batch_size_ = 0;
    for (size_t i = 0; i < texts.size() && process->stage != Stage::kDiscarded; ++i) {
      HandleServerMessage(*process, texts[i], heads[i]);
    }
  } else {
    LogCounted(process->garbage, id, "wrote a line that is not an MCP message; it is not passed on");
  }
  EndLine();
  Settle();
}

void Router::OversizedFromServer(ProcessId id) {
  ServerProcess* const process = Find(id);
  if (process == nullptr || process->stage == Stage::kDiscarded) return;
  LogCounted(process->garbage, id,
             absl::StrCat("wrote a message of more than ", options_.max_message_bytes, " bytes; it is not passed on"));
}

void Router::HandleServerMessage(ServerProcess& process, absl::string_view text, const MessageHead& head) {
  if (process.replacement()) return HandleEarlyMessage(process, text, head);
  switch (head.kind) {
    case Kind::kRequest:
      return ServerRequest(process, text, head);
    case Kind::kNotification:
      return ServerNotification(process, text, head);
    case Kind::kResult:
    case Kind::kError:
      return ServerResponse(process, text, head);
  }
}

void Router::HandleEarlyMessage(ServerProcess& process, absl::string_view text, const MessageHead& head) {
  if (head.kind == Kind::kResult || head.kind == Kind::kError) {
    if (TakeReplayAnswer(process, head)) return;
    LogCounted(process.stray_answers, process.id, "answered a request that it does not have");
  } else if (head.kind == Kind::kRequest && head.method == "ping") {
    AnswerEarly(process, EmptyResultMessage(head.id));
  } else if (process.early_bytes + text.size() <= options_.max_held_bytes) {
    process.early_bytes += text.size();
    process.early.emplace_back(text);
  } else {
    LogCounted(process.dropped, process.id, "says too much before it is initialized; it is not passed on");
    if (head.kind == Kind::kRequest) {
      AnswerEarly(process, ErrorMessage(head.id, kTooManyHeld, "Too many messages before initialization"));
    }
  }
}

// It may not read what it is answered, and nothing else holds it back.
void Router::AnswerEarly(ServerProcess& process, const std::string& answer) {
  if (process.early_answer_bytes + answer.size() > kMaxEarlyAnswerBytes) {
    LogCounted(process.unanswered, process.id, "asks too much before it is initialized; it gets no more answers");
    return;
  }
  process.early_answer_bytes += answer.size();
  SendToServer(process, answer);
}

void Router::ServerRequest(ServerProcess& process, absl::string_view text, const MessageHead& head) {
  if (!process.input_open()) {
    LogCounted(process.dropped, process.id, "asks for something after its end was decided; it is not passed on");
    return;
  }
  absl::string_view token;
  std::string token_key;
  if (!FindProgressToken(head.params, token)) {
    LogCounted(process.garbage, process.id, "sent a request with an unclear progress token; it is not passed on");
    SendToServer(process, ErrorMessage(head.id, kInvalidRequest, "Unclear progress token"));
    return;
  }
  if (!IdKey(token, token_key)) token = absl::string_view();
  const std::string number =
      absl::StrCat(server_requests_.Add({process.id, std::string(head.id), head.id_key, std::string(token)}));

  const std::string renumbered = Spliced(text, head.id, number);
  if (token.empty()) {
    SendToClient(renumbered);
    return;
  }
  size_t offset = static_cast<size_t>(token.data() - text.data());
  if (token.data() > head.id.data()) offset += number.size() - head.id.size();
  SendToClient(Spliced(renumbered, absl::string_view(renumbered).substr(offset, token.size()), number));
}

void Router::ServerNotification(ServerProcess& process, absl::string_view text, const MessageHead& head) {
  if (head.method == "notifications/cancelled") {
    absl::string_view token;
    std::string key;
    if (FindJsonMember(head.params, "requestId", token) != JsonMember::kFound || !IdKey(token, key)) return;
    const uint64_t number = server_requests_.NumberOf(process.id, key);
    if (number == 0) return;
    server_requests_.Remove(number);
    SendToClient(Spliced(text, token, absl::StrCat(number)));
    return;
  }
  // The client sees the lists of the process that has taken over, and was told so.
  if (process.replaced && absl::EndsWith(head.method, "/list_changed")) return;
  SendToClient(text);
}

void Router::ServerResponse(ServerProcess& process, absl::string_view text, const MessageHead& head) {
  if (head.id_key.empty() ? !process.replays.empty() : TakeReplayAnswer(process, head)) return;
  ClientRequests::Request request;
  if (!head.id_key.empty()) {
    if (!process.requests.Take(head.id_key, request)) {
      LogCounted(process.stray_answers, process.id, "answered a request that it does not have; it is not passed on");
      return;
    }
    session_.OnAnswer(request.record, head.result);
  }
  SendToClient(text);
}

bool Router::TakeReplayAnswer(ServerProcess& process, const MessageHead& head) {
  const auto entry = process.replays.find(head.id_key);
  if (entry == process.replays.end()) return false;
  const Replay replay = entry->second;
  process.replays.erase(entry);
  if (replay == Replay::kInitialize) {
    JudgeHandshake(process, head);
  } else if (head.kind == Kind::kError) {
    output_.Log(process.id, "refused a log level or a subscription that the one before it had");
  }
  return true;
}

void Router::JudgeHandshake(ServerProcess& process, const MessageHead& head) {
  InitializeResult now;
  std::string problem;
  if (head.kind == Kind::kError) {
    problem = "it answered `initialize` with an error";
  } else if (!InitializeResult::Parse(head.result, now)) {
    problem = "its answer to `initialize` is not an InitializeResult";
  }
  const InitializeDifference difference = Compare(session_.told(), now);
  if (problem.empty()) {
    std::string change;
    if (difference.protocol_version) change = "it speaks another protocol version than the one before it";
    if (!difference.lost.empty()) {
      absl::StrAppend(&change, change.empty() ? "it" : " and",
                      " lacks capabilities that the client was told of: ", absl::StrJoin(difference.lost, ", "));
    }
    if (current_ != 0) {
      problem = change;
    } else if (!change.empty()) {
      output_.Log(process.id, absl::StrCat("takes over since no other is there, although ", change));
    }
  }
  if (!problem.empty()) {
    DiscardReplacement(problem);
    ReplacementFailed();
    return;
  }
  if (!difference.gained.empty()) {
    output_.Log(process.id, absl::StrCat("has capabilities that the client was not told of: ",
                                         absl::StrJoin(difference.gained, ", ")));
  }
  if (difference.server_name) output_.Log(process.id, "names its server otherwise than the one before it");
  TakeOver(process);
}

}  // namespace keyferry::injector::mcp
