#include "injector/source/watch_call.h"

#include "injector/source/conversion.h"

namespace keyferry::injector {

WatchCall::WatchCall(v1::ResolutionService::Stub* stub, const v1::WatchRequest& request, grpc::CompletionQueue* queue)
    : reader_(stub->PrepareAsyncWatch(&context_, request, queue)) {
  reader_->StartCall(tag());
}

WatchCall::~WatchCall() {
  if (message_.has_environment()) WipeValues(message_.mutable_environment());
}

WatchCall::Outcome WatchCall::OnEvent(bool ok) {
  switch (state_) {
    case State::kStarting:
      // Where starting failed, reading says why.
      ReadNext();
      return Outcome::kNothing;
    case State::kReading:
      if (ok) {
        state_ = State::kHasMessage;
        return Outcome::kMessage;
      }
      state_ = State::kFinishing;
      reader_->Finish(&status_, tag());
      return Outcome::kNothing;
    case State::kFinishing:
      state_ = State::kEnded;
      return Outcome::kEnded;
    case State::kHasMessage:
    case State::kEnded:
      break;
  }
  return Outcome::kNothing;
}

void WatchCall::Cancel() {
  context_.TryCancel();
  // Only what is under way has an event.
  if (state_ == State::kHasMessage) ReadNext();
}

void WatchCall::ReadNext() {
  state_ = State::kReading;
  reader_->Read(&message_, tag());
}

}  // namespace keyferry::injector
