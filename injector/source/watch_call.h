#ifndef KEYFERRY_INJECTOR_SOURCE_WATCH_CALL_H_
#define KEYFERRY_INJECTOR_SOURCE_WATCH_CALL_H_

#include <memory>

#include "grpcpp/client_context.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/support/async_stream.h"
#include "grpcpp/support/status.h"
#include "keyferry/v1/resolution.grpc.pb.h"

namespace keyferry::injector {

// One stream of ResolutionService.Watch, from the call to its end, driven by the events of a completion queue. Not
// thread-safe. Must have ended before it is destroyed.
class WatchCall {
 public:
  // What an event of the call's meant.
  enum class Outcome { kNothing, kMessage, kEnded };

  // Begins the call. `stub` and `queue` must outlive it; the request is sent from a copy.
  WatchCall(v1::ResolutionService::Stub* stub, const v1::WatchRequest& request, grpc::CompletionQueue* queue);
  ~WatchCall();
  WatchCall(const WatchCall&) = delete;
  WatchCall& operator=(const WatchCall&) = delete;

  // The tag of the call's events.
  void* tag() { return this; }
  // Takes in one event with tag(). kMessage: message() has come; call ReadNext. kEnded: status() says how, and no event
  // follows.
  Outcome OnEvent(bool ok);
  // Overwritten values and all: the message is for the reader to wipe.
  v1::WatchResponse* message() { return &message_; }
  void ReadNext();

  // Makes the call end soon. A message that was not followed by ReadNext yet is given up.
  void Cancel();
  const grpc::Status& status() const { return status_; }

 private:
  enum class State { kStarting, kReading, kHasMessage, kFinishing, kEnded };

  grpc::ClientContext context_;
  State state_ = State::kStarting;
  v1::WatchResponse message_;
  grpc::Status status_;
  std::unique_ptr<grpc::ClientAsyncReader<v1::WatchResponse>> reader_;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SOURCE_WATCH_CALL_H_
