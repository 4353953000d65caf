#ifndef KEYFERRY_INJECTOR_MCP_ROUTER_H_
#define KEYFERRY_INJECTOR_MCP_ROUTER_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "injector/mcp/message_head.h"
#include "injector/mcp/server_process.h"
#include "injector/mcp/server_requests.h"
#include "injector/mcp/session_record.h"

namespace keyferry::injector::mcp {

struct RouterOptions {
  // Longer lines are not messages; see OversizedFromClient and OversizedFromServer. Give it to the LineFramers too.
  size_t max_message_bytes = size_t{256} << 20;
  // Of the client's messages that wait for a process, and of what a process says before it is ready. A request beyond
  // it is answered with an error, a notification is dropped.
  size_t max_held_bytes = size_t{64} << 20;
};

// What a Router asks of its host. Called inside the Router's methods, in the order in which things are to happen; an
// implementation must not call the Router back from within. A view is valid during the call.
class RouterOutput {
 public:
  virtual ~RouterOutput() = default;

  // A complete line including '\n'.
  virtual void ToClient(absl::string_view line) = 0;
  // Never for a process after its CloseInput, Discard or ServerExited.
  virtual void ToServer(ProcessId process, absl::string_view line) = 0;

  // It is drained, or the client is gone: close its standard input after what was sent, then end it. What it still
  // writes is to be given to FromServer.
  virtual void CloseInput(ProcessId process) = 0;
  // A replacement that did not initialize, or is no longer wanted: end it. What it writes is ignored from here on.
  virtual void Discard(ProcessId process, absl::string_view why) = 0;
  // A replacement has completed its handshake and gets new requests from now on; Draining() tells which ones drain.
  // Not called for the first process.
  virtual void Ready(ProcessId process) = 0;

  // For standard error: one line without '\n', without any part of a message. What that process did ("ended ..."), for
  // the host to name it as it does in its own lines; a whole sentence where it is 0. A Discard is not logged besides.
  virtual void Log(ProcessId process, absl::string_view line) = 0;
};

// Stands between one MCP client and the successive processes of one stdio MCP server, and moves the session from one
// process to the next without a trace for the client: docs/injector.md, "How a rotation goes". Pure: no I/O, no clock,
// no threads; equal calls give equal outputs. Not thread-safe.
//
// Follows the MCP specification, revisions 2024-11-05, 2025-03-26 (with batches) and 2025-06-18, pages basic/lifecycle,
// basic/transports#stdio, basic/utilities/{ping,cancellation,progress}, server/utilities/logging,
// server/resources#subscriptions (https://modelcontextprotocol.io/specification).
//
// Guarantees, for a client that does not use an id again while a request under it is unanswered:
// - Each request of the client is given to at most one process (an `initialize` whose process died may be given to the
//   next) and answered exactly once (at most once if the client cancelled it): by that process, or with an error made
//   here (codes in own_messages.h) if that process ended, was drained for too long, or none is there. While requests
//   are held, a `ping` may be answered here.
// - Each request of a process reaches the client under an id that no other request ever had, and is answered at most
//   once, to the process that sent it, under its own id.
// - A replacement is sent nothing but `initialize` and answers to its own pings before its handshake is complete.
// - Lines pass on byte for byte, except for the bytes of a rewritten id or progress token, and batches that have to be
//   divided.
// Not guaranteed: that a server's own state (open cursors, tasks, elicitations by URL) is known to its next process.
class Router {
 public:
  Router(RouterOptions options, RouterOutput& output);
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  // The first process: the client's own handshake goes to it. Call once, before anything else.
  void StartFirst(ProcessId process);

  // A further process, id never used before. Its handshake is replayed, as soon as the client's own is answered; then
  // Ready (also from within this call, if the client has not begun its handshake), or Discard. A replacement that is
  // not ready yet is discarded in its favour. While no other process is there, the client's messages are held for it,
  // so call this at once when a crashed process is to be started again. One that cannot be started is ServerExited
  // right after.
  void StartReplacement(ProcessId process);

  // Holds new requests and notifications of the client, lets the current process finish what it has (DrainTimeout
  // bounds it), then CloseInput. StartReplacement is to follow its ServerExited.
  void BeginSerial();

  // One line, with or without '\n'.
  void FromClient(absl::string_view line);
  void FromServer(ProcessId process, absl::string_view line);

  // A line beyond the bound was thrown away by the framer. The client is told; a server's is logged, and a request that
  // it may have answered stays open until it is cancelled, drained or its process ends.
  void OversizedFromClient();
  void OversizedFromServer(ProcessId process);

  // End of the client's input: every process's input is closed, once what is held was given to it.
  void ClientClosed();
  // After all of its output was given to FromServer. What it has not answered is answered with an error. If it was the
  // current one and no replacement is coming, so is everything that follows.
  void ServerExited(ProcessId process);

  // The host's timers; without effect on a process that is no longer in that state. DrainTimeout runs from Ready of the
  // successor, or from BeginSerial; InitializeTimeout from StartReplacement.
  void DrainTimeout(ProcessId process);
  void InitializeTimeout(ProcessId process);

  // It is the one that new requests go to; 0 if there is none.
  ProcessId current() const { return current_; }
  // Replaced, or ending in a serial rotation, its input still open.
  bool Draining(ProcessId process) const;
  // Requests of either side that this process takes part in, unanswered and not cancelled. Replayed ones do not count.
  size_t Outstanding(ProcessId process) const;
  // Of client messages that wait for a process.
  size_t held_bytes() const { return held_bytes_; }

 private:
  struct HeldMessage {
    std::string text;
    std::string id_key;  // Empty for notifications.
  };
  struct BatchPart {
    std::string text;
    size_t messages = 0;
    size_t unchanged = 0;
  };

  // router_client.cc: what the client says.
  void HandleClientMessage(absl::string_view text, const MessageHead& head);
  void ClientRequest(absl::string_view text, const MessageHead& head);
  void GiveRequest(ServerProcess& process, absl::string_view text, const MessageHead& head);
  void ClientNotification(absl::string_view text, const MessageHead& head);
  void ClientInitialized(absl::string_view text, const MessageHead& head);
  void ClientCancelled(absl::string_view text, const MessageHead& head);
  void ClientProgress(absl::string_view text, const MessageHead& head);
  void ClientResponse(absl::string_view text, const MessageHead& head);
  void Hold(absl::string_view text, const MessageHead& head);
  bool Unhold(const std::string& id_key);
  void FlushHeld();
  void FailHeld();
  bool Holding() const;

  // router_server.cc: what a process says.
  void HandleServerMessage(ServerProcess& process, absl::string_view text, const MessageHead& head);
  void HandleEarlyMessage(ServerProcess& process, absl::string_view text, const MessageHead& head);
  void AnswerEarly(ServerProcess& process, const std::string& answer);
  void ServerRequest(ServerProcess& process, absl::string_view text, const MessageHead& head);
  void ServerNotification(ServerProcess& process, absl::string_view text, const MessageHead& head);
  void ServerResponse(ServerProcess& process, absl::string_view text, const MessageHead& head);
  bool TakeReplayAnswer(ServerProcess& process, const MessageHead& head);
  void JudgeHandshake(ServerProcess& process, const MessageHead& head);

  // router.cc: life and death of processes.
  void BeginHandshake(ServerProcess& process);
  void SendReplay(ServerProcess& process, Replay kind, absl::string_view method, absl::string_view params);
  void TakeOver(ServerProcess& process);
  void NotifyListsChanged();
  void DiscardReplacement(absl::string_view why);
  void ReplacementFailed();
  void MoveInitialize(ServerProcess& process);
  void FailOutstanding(ServerProcess& process, int code, absl::string_view message);
  void WithdrawServerRequests(ServerProcess& process);
  void Close(ServerProcess& process);
  // What follows from a change of state, when everything that was said is passed on.
  void Settle();

  // router_lines.cc: lines in and out. Inside a batch they are gathered by destination.
  bool BeginLine(absl::string_view line, std::vector<absl::string_view>& texts, std::vector<MessageHead>& heads);
  void EndLine();
  void SendToClient(absl::string_view text);
  void SendToServer(ServerProcess& process, absl::string_view text);
  void Emit(ProcessId destination, absl::string_view text);
  // Logs the 1st, 10th, 100th... time.
  void LogCounted(uint64_t& count, ProcessId process, absl::string_view what);

  ServerProcess* Find(ProcessId process);

  const RouterOptions options_;
  RouterOutput& output_;
  std::map<ProcessId, ServerProcess> processes_;
  ProcessId current_ = 0;
  ProcessId replacement_ = 0;  // Started, not ready.
  bool serial_ = false;        // From BeginSerial until its replacement is ready or has failed.
  bool client_closed_ = false;
  SessionRecord session_;
  ServerRequests server_requests_;
  std::deque<HeldMessage> held_;
  size_t held_bytes_ = 0;
  uint64_t next_replay_ = 1;

  absl::string_view line_;                // Being handled, with its line break.
  size_t batch_size_ = 0;                 // Of line_; 0 if it is not a batch.
  std::map<ProcessId, BatchPart> batch_;  // 0 is the client.
  std::string scratch_;
  uint64_t client_garbage_ = 0;
  uint64_t stray_client_answers_ = 0;
  uint64_t dropped_client_messages_ = 0;
};

}  // namespace keyferry::injector::mcp

#endif  // KEYFERRY_INJECTOR_MCP_ROUTER_H_
