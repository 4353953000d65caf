#include "server/resolution/watch_stream.h"

#include <memory>
#include <utility>

#include "grpcpp/server_context.h"
#include "server/rpc/status.h"
#include "server/watch/watch_sink.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

constexpr MethodTraits kTraits = ReadMethod("ResolutionService/Watch");

class WatchStream : public grpc::ServerWriteReactor<v1::WatchResponse>, public WatchSink {
 public:
  WatchStream(const Dispatcher* dispatcher, WatchHub* watches, grpc::CallbackServerContext* context)
      : dispatcher_(dispatcher), watches_(watches), context_(context) {}

  void Start(const v1::WatchRequest& request) {
    const auto caller = dispatcher_->Begin(context_, kTraits, request, &call_);
    if (!caller.ok()) return Finish(caller.status());
    const absl::StatusOr<WatchId> id = watches_->Open(**caller, request, this);
    // gRPC keeps the request as long as the stream; the hub has what it needs of it.
    storage::WipeMessage(const_cast<v1::WatchRequest&>(request));
    if (!id.ok()) return Finish(id.status());
    // gRPC tells of writes and of the end only once this call has returned.
    id_ = *id;
  }

  // WatchSink:
  void Write(storage::Wiped<v1::WatchResponse> message) override {
    message_ = std::make_unique<storage::Wiped<v1::WatchResponse>>(std::move(message));
    StartWrite(&**message_);
  }
  void Finish(const absl::Status& status) override {
    dispatcher_->End(&call_, status, [this](const absl::Status& outcome) {
      grpc::ServerWriteReactor<v1::WatchResponse>::Finish(ToGrpcStatus(outcome));
    });
  }

  // grpc::ServerWriteReactor:
  void OnWriteDone(bool ok) override {
    message_.reset();
    watches_->OnWritten(id_, ok);
  }
  void OnCancel() override {
    if (id_ != 0) watches_->Cancel(id_);
  }
  void OnDone() override { delete this; }

 private:
  const Dispatcher* const dispatcher_;
  WatchHub* const watches_;
  grpc::CallbackServerContext* const context_;
  Dispatcher::Call call_;
  WatchId id_ = 0;
  // In flight.
  std::unique_ptr<storage::Wiped<v1::WatchResponse>> message_;
};

}  // namespace

grpc::ServerWriteReactor<v1::WatchResponse>* StartWatch(const Dispatcher* dispatcher, WatchHub* watches,
                                                        grpc::CallbackServerContext* context,
                                                        const v1::WatchRequest* request) {
  auto* const stream = new WatchStream(dispatcher, watches, context);
  stream->Start(*request);
  return stream;
}

}  // namespace keyferry::server
