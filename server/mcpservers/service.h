#ifndef KEYFERRY_SERVER_MCPSERVERS_SERVICE_H_
#define KEYFERRY_SERVER_MCPSERVERS_SERVICE_H_

#include <memory>

#include "grpcpp/impl/service_type.h"
#include "server/mcpservers/mcp_server_rules.h"
#include "server/rpc/dispatcher.h"

namespace keyferry::server {

// McpServerService over gRPC. `dispatcher` and `rules` must outlive it.
std::unique_ptr<grpc::Service> MakeMcpServerService(Dispatcher* dispatcher, McpServerRules* rules);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_MCPSERVERS_SERVICE_H_
