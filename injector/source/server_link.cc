#include "injector/source/server_link.h"

#include <utility>

#include "absl/time/clock.h"
#include "google/protobuf/empty.pb.h"
#include "grpcpp/support/async_unary_call.h"

namespace keyferry::injector {
namespace {

constexpr absl::Duration kConfirmationTimeout = absl::Seconds(10);

}  // namespace

struct ServerLink::Confirmation {
  grpc::ClientContext context;
  grpc::Status status;
  // One of two.
  v1::ConfirmEnvironmentResponse confirmed;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::ConfirmEnvironmentResponse>> confirming;
  google::protobuf::Empty ended;
  std::unique_ptr<grpc::ClientAsyncResponseReader<google::protobuf::Empty>> ending;
};

ServerLink::ServerLink(ServerAccess access) : access_(std::move(access)) {}

ServerLink::~ServerLink() {
  Close();
  queue_.Shutdown();
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
  }
  // An alarm that is destroyed while it fires is used after that: its event comes first.
  absl::MutexLock lock(&mutex_);
  wake_.reset();
}

absl::Status ServerLink::Watch(const std::string& mcp_server, v1::WatchRequest request) {
  Close();
  absl::StatusOr<ServerAccess::Opened> opened = access_.Open();
  if (!opened.ok()) return opened.status();
  connection_ = std::move(opened->connection);
  resolution_ = v1::ResolutionService::NewStub(connection_->channel());
  processes_ = v1::ProcessService::NewStub(connection_->channel());
  access_.Fill(mcp_server, opened->session, request.mutable_resolve());
  watch_ = std::make_unique<WatchCall>(resolution_.get(), request, &queue_);
  client::WipeString(*request.mutable_resolve()->mutable_session_token());
  return absl::OkStatus();
}

void ServerLink::Confirm(const v1::ConfirmEnvironmentRequest& request) {
  Confirmation* const one = NewConfirmation();
  one->confirming = processes_->AsyncConfirmEnvironment(&one->context, request, &queue_);
  one->confirming->Finish(&one->confirmed, &one->status, one);
}

void ServerLink::ConfirmEnd(const v1::DeleteProcessRequest& request) {
  Confirmation* const one = NewConfirmation();
  one->ending = processes_->AsyncDeleteProcess(&one->context, request, &queue_);
  one->ending->Finish(&one->ended, &one->status, one);
}

ServerLink::Confirmation* ServerLink::NewConfirmation() {
  confirmation_ = std::make_unique<Confirmation>();
  confirmation_->context.set_deadline(absl::ToChronoTime(absl::Now() + kConfirmationTimeout));
  return confirmation_.get();
}

void ServerLink::Close() {
  if (watching()) watch_->Cancel();
  if (confirming()) confirmation_->context.TryCancel();
  while (watching() || confirming()) {
    void* tag = nullptr;
    bool ok = false;
    if (!queue_.Next(&tag, &ok)) return;
    const std::optional<Event> event = Take(tag, ok);
    if (event == Event::kWoken) woken_ = true;
    if (event == Event::kMessage) ReadNext();
  }
}

ServerLink::Event ServerLink::Wait(absl::Time deadline) {
  if (std::exchange(woken_, false)) return Event::kWoken;
  while (true) {
    void* tag = nullptr;
    bool ok = false;
    const auto next = queue_.AsyncNext(&tag, &ok, absl::ToChronoTime(deadline));
    if (next != grpc::CompletionQueue::GOT_EVENT) return Event::kTimeout;
    if (const std::optional<Event> event = Take(tag, ok)) return *event;
  }
}

std::optional<ServerLink::Event> ServerLink::Take(void* tag, bool ok) {
  if (watching() && tag == watch_->tag()) {
    switch (watch_->OnEvent(ok)) {
      case WatchCall::Outcome::kNothing:
        return std::nullopt;
      case WatchCall::Outcome::kMessage:
        return Event::kMessage;
      case WatchCall::Outcome::kEnded:
        error_ = connection_->ErrorOf(watch_->status());
        watch_.reset();
        return Event::kEnded;
    }
  }
  if (confirming() && tag == confirmation_.get()) {
    confirmation_error_.reset();
    if (!confirmation_->status.ok()) confirmation_error_ = connection_->ErrorOf(confirmation_->status);
    confirmation_.reset();
    return Event::kConfirmed;
  }
  absl::MutexLock lock(&mutex_);
  wake_.reset();
  return Event::kWoken;
}

client::ApiError ServerLink::NoAnswer() const {
  return connection_->ErrorOf(grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, ""));
}

void ServerLink::Wake() {
  absl::MutexLock lock(&mutex_);
  if (wake_ != nullptr) return;
  wake_ = std::make_unique<grpc::Alarm>();
  wake_->Set(&queue_, gpr_now(GPR_CLOCK_MONOTONIC), wake_.get());
}

}  // namespace keyferry::injector
