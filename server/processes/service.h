#ifndef KEYFERRY_SERVER_PROCESSES_SERVICE_H_
#define KEYFERRY_SERVER_PROCESSES_SERVICE_H_

#include <memory>

#include "grpcpp/impl/service_type.h"
#include "server/processes/process_rules.h"
#include "server/rpc/dispatcher.h"

namespace keyferry::server {

// ProcessService over gRPC. `dispatcher` and `rules` must outlive it.
std::unique_ptr<grpc::Service> MakeProcessService(Dispatcher* dispatcher, const ProcessRules* rules);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_PROCESSES_SERVICE_H_
