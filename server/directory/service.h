#ifndef KEYFERRY_SERVER_DIRECTORY_SERVICE_H_
#define KEYFERRY_SERVER_DIRECTORY_SERVICE_H_

#include <memory>

#include "grpcpp/impl/service_type.h"
#include "server/directory/common.h"
#include "server/rpc/dispatcher.h"

namespace keyferry::server {

// The gRPC services of the directory. `dispatcher` must outlive them.
std::unique_ptr<grpc::Service> MakeDirectoryService(Dispatcher* dispatcher, const DirectoryContext& context);
std::unique_ptr<grpc::Service> MakeTokenService(Dispatcher* dispatcher, const DirectoryContext& context);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_DIRECTORY_SERVICE_H_
