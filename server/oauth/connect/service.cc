#include "server/oauth/connect/service.h"

#include "keyferry/v1/connections.grpc.pb.h"
#include "server/rpc/wiping_allocator.h"

namespace keyferry::server {
namespace {

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;
using google::protobuf::Empty;

class ConnectionService : public v1::ConnectionService::CallbackService {
 public:
  ConnectionService(Dispatcher* dispatcher, ConnectionRules* rules) : dispatcher_(dispatcher), rules_(rules) {
    SetMessageAllocatorFor_StartConnection(&start_connection_messages_);
  }

  Reactor* StartConnection(Context* context, const v1::StartConnectionRequest* request,
                           v1::StartConnectionResponse* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("ConnectionService/StartConnection"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->StartConnection(caller, r); });
  }
  Reactor* GetConnectionAttempt(Context* context, const v1::GetConnectionAttemptRequest* request,
                                v1::ConnectionAttempt* response) override {
    return dispatcher_->Unary(
        context, ReadMethod("ConnectionService/GetConnectionAttempt"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->GetConnectionAttempt(caller, r); });
  }
  Reactor* GetConnection(Context* context, const v1::GetConnectionRequest* request, v1::Connection* response) override {
    return dispatcher_->Unary(context, ReadMethod("ConnectionService/GetConnection"), request, response,
                              [this](const Caller& caller, const auto& r) { return rules_->GetConnection(caller, r); });
  }
  Reactor* ListConnections(Context* context, const v1::ListConnectionsRequest* request,
                           v1::ListConnectionsResponse* response) override {
    return dispatcher_->Unary(
        context, ReadMethod("ConnectionService/ListConnections"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->ListConnections(caller, r); });
  }
  Reactor* RefreshConnection(Context* context, const v1::RefreshConnectionRequest* request,
                             v1::Connection* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("ConnectionService/RefreshConnection"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->RefreshConnection(caller, r); });
  }
  Reactor* DeleteConnection(Context* context, const v1::DeleteConnectionRequest* request, Empty* response) override {
    return dispatcher_->Unary(
        context, ChangeMethod("ConnectionService/DeleteConnection"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->DeleteConnection(caller, r); });
  }

 private:
  // The answer's URL leads a browser to the attempt.
  WipingAllocator<v1::StartConnectionRequest, v1::StartConnectionResponse> start_connection_messages_;
  Dispatcher* const dispatcher_;
  ConnectionRules* const rules_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeConnectionService(Dispatcher* dispatcher, ConnectionRules* rules) {
  return std::make_unique<ConnectionService>(dispatcher, rules);
}

}  // namespace keyferry::server
