#ifndef KEYFERRY_SERVER_RPC_UNREADABLE_REQUESTS_H_
#define KEYFERRY_SERVER_RPC_UNREADABLE_REQUESTS_H_

#include <memory>

#include "grpcpp/support/server_interceptor.h"

namespace keyferry::server {

// gRPC answers a request that is no message of the method's type (bytes that do not parse, a string that is not UTF-8)
// with a bare UNIMPLEMENTED, before any code of ours sees it. This gives the caller InvalidField on `request` instead.
// Methods that do not exist stay UNIMPLEMENTED.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> ExplainUnreadableRequests();

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RPC_UNREADABLE_REQUESTS_H_
