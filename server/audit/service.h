#ifndef KEYFERRY_SERVER_AUDIT_SERVICE_H_
#define KEYFERRY_SERVER_AUDIT_SERVICE_H_

#include <memory>

#include "grpcpp/impl/service_type.h"
#include "server/audit/audit_rules.h"
#include "server/rpc/dispatcher.h"

namespace keyferry::server {

// AuditService over gRPC. `dispatcher` and `rules` must outlive it.
std::unique_ptr<grpc::Service> MakeAuditService(Dispatcher* dispatcher, AuditRules* rules);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_AUDIT_SERVICE_H_
