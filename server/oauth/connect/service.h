#ifndef KEYFERRY_SERVER_OAUTH_CONNECT_SERVICE_H_
#define KEYFERRY_SERVER_OAUTH_CONNECT_SERVICE_H_

#include <memory>

#include "grpcpp/impl/service_type.h"
#include "server/oauth/connect/connection_rules.h"
#include "server/rpc/dispatcher.h"

namespace keyferry::server {

// ConnectionService over gRPC. `dispatcher` and `rules` must outlive it.
std::unique_ptr<grpc::Service> MakeConnectionService(Dispatcher* dispatcher, ConnectionRules* rules);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CONNECT_SERVICE_H_
