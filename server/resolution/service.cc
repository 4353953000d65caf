#include "server/resolution/service.h"

#include <functional>
#include <utility>

#include "keyferry/v1/resolution.grpc.pb.h"
#include "server/resolution/watch_stream.h"
#include "server/resolution/when_refreshed.h"
#include "server/rpc/wiping_allocator.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {
namespace {

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;

// The sensitive fields of resolution.proto.
struct WipeResolve {
  void operator()(v1::ResolveRequest& request) const { storage::WipeString(*request.mutable_session_token()); }
  void operator()(v1::ResolveResponse& response) const {
    for (v1::ResolvedVariable& variable : *response.mutable_variables()) {
      storage::WipeString(*variable.mutable_value());
    }
  }
};

class ResolutionService : public v1::ResolutionService::CallbackService {
 public:
  ResolutionService(Dispatcher* dispatcher, Resolver* resolver, WatchHub* watches, ConnectionRefresher* refresher)
      : dispatcher_(dispatcher), resolver_(resolver), watches_(watches), refresher_(refresher) {
    SetMessageAllocatorFor_Resolve(&resolve_messages_);
  }

  Reactor* Resolve(Context* context, const v1::ResolveRequest* request, v1::ResolveResponse* response) override {
    return dispatcher_->HoldableUnary(
        context, ReadMethod("ResolutionService/Resolve"), request, response,
        [this](const Caller& caller, const auto& r, Hold* hold) { return ResolveOrHold(caller, r, hold); });
  }
  grpc::ServerWriteReactor<v1::WatchResponse>* Watch(Context* context, const v1::WatchRequest* request) override {
    return StartWatch(dispatcher_, watches_, context, request);
  }
  Reactor* Explain(Context* context, const v1::ExplainRequest* request, v1::ExplainResponse* response) override {
    return dispatcher_->Unary(context, ReadMethod("ResolutionService/Explain"), request, response,
                              [this](const Caller& caller, const auto& r) { return resolver_->Explain(caller, r); });
  }

 private:
  absl::StatusOr<v1::ResolveResponse> ResolveOrHold(const Caller& caller, const v1::ResolveRequest& request,
                                                    Hold* hold) const {
    Awaited awaited;
    awaited.waited = hold->over || refresher_ == nullptr;
    absl::StatusOr<v1::ResolveResponse> response = resolver_->Resolve(caller, request, &awaited);
    if (response.ok() || awaited.waited || awaited.connections.empty()) return response;
    hold->until = [refresher = refresher_, connections = std::move(awaited.connections)](std::function<void()> end) {
      WhenRefreshed(refresher, connections, std::move(end));
    };
    return response;
  }

  WipingAllocator<v1::ResolveRequest, v1::ResolveResponse, WipeResolve> resolve_messages_;
  Dispatcher* const dispatcher_;
  Resolver* const resolver_;
  WatchHub* const watches_;
  ConnectionRefresher* const refresher_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeResolutionService(Dispatcher* dispatcher, Resolver* resolver, WatchHub* watches,
                                                     ConnectionRefresher* refresher) {
  return std::make_unique<ResolutionService>(dispatcher, resolver, watches, refresher);
}

}  // namespace keyferry::server
