#ifndef KEYFERRY_SERVER_SESSIONS_SERVICE_H_
#define KEYFERRY_SERVER_SESSIONS_SERVICE_H_

#include <memory>

#include "grpcpp/impl/service_type.h"
#include "server/rpc/dispatcher.h"
#include "server/sessions/session_rules.h"

namespace keyferry::server {

// SessionService over gRPC. `dispatcher` and `rules` must outlive it.
std::unique_ptr<grpc::Service> MakeSessionService(Dispatcher* dispatcher, SessionRules* rules);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_SESSIONS_SERVICE_H_
