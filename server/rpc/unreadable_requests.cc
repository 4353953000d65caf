#include "server/rpc/unreadable_requests.h"

#include "grpcpp/support/interceptor.h"
#include "server/errors.h"
#include "server/rpc/status.h"

namespace keyferry::server {
namespace {

namespace experimental = grpc::experimental;

grpc::Status Unreadable() {
  return ToGrpcStatus(InvalidField("request", "not a message of this method, or a string in it is not UTF-8",
                                   "Send a protobuf message of the method's request type."));
}

class Interceptor : public experimental::Interceptor {
 public:
  void Intercept(experimental::InterceptorBatchMethods* methods) override {
    if (methods->QueryInterceptionHookPoint(experimental::InterceptionHookPoints::PRE_SEND_STATUS)) {
      const grpc::Status status = methods->GetSendStatus();
      // Ours always have a message.
      if (status.error_code() == grpc::StatusCode::UNIMPLEMENTED && status.error_message().empty()) {
        methods->ModifySendStatus(Unreadable());
      }
    }
    methods->Proceed();
  }
};

class Factory : public experimental::ServerInterceptorFactoryInterface {
 public:
  experimental::Interceptor* CreateServerInterceptor(experimental::ServerRpcInfo* info) override {
    // Methods that do not exist count as streams in both directions, which begin without a request.
    return info->type() == experimental::ServerRpcInfo::Type::BIDI_STREAMING ? nullptr : new Interceptor();
  }
};

}  // namespace

std::unique_ptr<experimental::ServerInterceptorFactoryInterface> ExplainUnreadableRequests() {
  return std::make_unique<Factory>();
}

}  // namespace keyferry::server
