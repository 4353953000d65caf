#include "server/sessions/service.h"

#include "keyferry/v1/sessions.grpc.pb.h"
#include "server/rpc/wiping_allocator.h"

namespace keyferry::server {
namespace {

using Context = grpc::CallbackServerContext;
using Reactor = grpc::ServerUnaryReactor;
using google::protobuf::Empty;

class SessionService : public v1::SessionService::CallbackService {
 public:
  SessionService(Dispatcher* dispatcher, SessionRules* rules) : dispatcher_(dispatcher), rules_(rules) {
    SetMessageAllocatorFor_CreateSession(&create_session_messages_);
  }

  Reactor* CreateSession(Context* context, const v1::CreateSessionRequest* request,
                         v1::CreateSessionResponse* response) override {
    return dispatcher_->Unary(context, ChangeMethod("SessionService/CreateSession"), request, response,
                              [this](const Caller& caller, const auto& r) { return rules_->CreateSession(caller, r); });
  }
  Reactor* GetSession(Context* context, const v1::GetSessionRequest* request, v1::Session* response) override {
    return dispatcher_->Unary(context, ReadMethod("SessionService/GetSession"), request, response,
                              [this](const Caller& caller, const auto& r) { return rules_->GetSession(caller, r); });
  }
  Reactor* ListSessions(Context* context, const v1::ListSessionsRequest* request,
                        v1::ListSessionsResponse* response) override {
    return dispatcher_->Unary(context, ReadMethod("SessionService/ListSessions"), request, response,
                              [this](const Caller& caller, const auto& r) { return rules_->ListSessions(caller, r); });
  }
  Reactor* RevokeSession(Context* context, const v1::RevokeSessionRequest* request, Empty* response) override {
    return dispatcher_->Unary(context, ChangeMethod("SessionService/RevokeSession"), request, response,
                              [this](const Caller& caller, const auto& r) { return rules_->RevokeSession(caller, r); });
  }
  Reactor* ListSessionKeys(Context* context, const v1::ListSessionKeysRequest* request,
                           v1::ListSessionKeysResponse* response) override {
    return dispatcher_->Unary(
        context, ReadMethod("SessionService/ListSessionKeys"), request, response,
        [this](const Caller& caller, const auto& r) { return rules_->ListSessionKeys(caller, r); });
  }

 private:
  WipingAllocator<v1::CreateSessionRequest, v1::CreateSessionResponse> create_session_messages_;
  Dispatcher* const dispatcher_;
  SessionRules* const rules_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeSessionService(Dispatcher* dispatcher, SessionRules* rules) {
  return std::make_unique<SessionService>(dispatcher, rules);
}

}  // namespace keyferry::server
