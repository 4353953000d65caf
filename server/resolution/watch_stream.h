#ifndef KEYFERRY_SERVER_RESOLUTION_WATCH_STREAM_H_
#define KEYFERRY_SERVER_RESOLUTION_WATCH_STREAM_H_

#include "grpcpp/support/server_callback.h"
#include "keyferry/v1/resolution.pb.h"
#include "server/rpc/dispatcher.h"
#include "server/watch/watch_hub.h"

namespace keyferry::server {

// Begins to answer ResolutionService.Watch; the reactor deletes itself at the end. Messages are overwritten once they
// have been written, and the request's session token as soon as it has been read.
grpc::ServerWriteReactor<v1::WatchResponse>* StartWatch(const Dispatcher* dispatcher, WatchHub* watches,
                                                        grpc::CallbackServerContext* context,
                                                        const v1::WatchRequest* request);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RESOLUTION_WATCH_STREAM_H_
