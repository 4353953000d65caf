#ifndef KEYFERRY_INJECTOR_SOURCE_SERVER_LINK_H_
#define KEYFERRY_INJECTOR_SOURCE_SERVER_LINK_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/api_error.h"
#include "client/connection.h"
#include "grpcpp/alarm.h"
#include "grpcpp/channel.h"
#include "grpcpp/completion_queue.h"
#include "injector/source/server_access.h"
#include "injector/source/watch_call.h"
#include "keyferry/v1/processes.grpc.pb.h"
#include "keyferry/v1/resolution.grpc.pb.h"

namespace keyferry::injector {

// One thread's hold on the server: at most one watch and one confirmation at a time (that something runs, or that
// nothing does any more), and one place to wait for what comes of them. Only Wake may be called by other threads. No
// thread of its own.
class ServerLink {
 public:
  enum class Event {
    // The deadline of Wait.
    kTimeout,
    // Wake was called since the last time.
    kWoken,
    // message() has come; ReadNext asks for the next one.
    kMessage,
    // The watch is over; error() says why.
    kEnded,
    // The confirmation is over; confirmation_error() says how.
    kConfirmed,
  };

  explicit ServerLink(ServerAccess access);
  ~ServerLink();
  ServerLink(const ServerLink&) = delete;
  ServerLink& operator=(const ServerLink&) = delete;

  const ServerAccess& access() const { return access_; }

  // Begins a watch over a new connection, made with what the files hold now; identity, session and MCP server are put
  // into `request`. Ends what was begun before. INVALID_ARGUMENT: a file is not as it must be.
  absl::Status Watch(const std::string& mcp_server, v1::WatchRequest request);
  // Begins a confirmation over the same connection. Needs a watch that has not ended, and no confirmation under way.
  void Confirm(const v1::ConfirmEnvironmentRequest& request);
  // The same of the end of a process.
  void ConfirmEnd(const v1::DeleteProcessRequest& request);
  // Cancels the watch and the confirmation, and waits for their end, which no event tells of.
  void Close();

  Event Wait(absl::Time deadline);
  bool watching() const { return watch_ != nullptr; }
  bool confirming() const { return confirmation_ != nullptr; }
  // For the caller to wipe.
  v1::WatchResponse* message() { return watch_->message(); }
  void ReadNext() { watch_->ReadNext(); }
  const client::ApiError& error() const { return error_; }
  // None if it succeeded.
  const std::optional<client::ApiError>& confirmation_error() const { return confirmation_error_; }

  // The error of a server that did not answer until a deadline.
  client::ApiError NoAnswer() const;

  // Makes Wait return kWoken, now or the next time. Thread-safe.
  void Wake() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Confirmation;
  Confirmation* NewConfirmation();

  // Takes in one event of the queue; none if it means nothing to the caller.
  std::optional<Event> Take(void* tag, bool ok) ABSL_LOCKS_EXCLUDED(mutex_);

  const ServerAccess access_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<client::Connection> connection_;
  std::unique_ptr<v1::ResolutionService::Stub> resolution_;
  std::unique_ptr<v1::ProcessService::Stub> processes_;
  std::unique_ptr<WatchCall> watch_;
  std::unique_ptr<Confirmation> confirmation_;
  client::ApiError error_;
  std::optional<client::ApiError> confirmation_error_;
  // A wake that came while nobody waited.
  bool woken_ = false;

  absl::Mutex mutex_;
  // Set while a wake is on its way through the queue.
  std::unique_ptr<grpc::Alarm> wake_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SOURCE_SERVER_LINK_H_
