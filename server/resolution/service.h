#ifndef KEYFERRY_SERVER_RESOLUTION_SERVICE_H_
#define KEYFERRY_SERVER_RESOLUTION_SERVICE_H_

#include <memory>

#include "grpcpp/impl/service_type.h"
#include "server/oauth/connection_refresher.h"
#include "server/resolution/resolver.h"
#include "server/rpc/dispatcher.h"
#include "server/watch/watch_hub.h"

namespace keyferry::server {

// ResolutionService over gRPC. All pointers must outlive it. Calls that need a fresh access token are held until
// `refresher` has it; without one they answer at once.
std::unique_ptr<grpc::Service> MakeResolutionService(Dispatcher* dispatcher, Resolver* resolver, WatchHub* watches,
                                                     ConnectionRefresher* refresher = nullptr);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RESOLUTION_SERVICE_H_
