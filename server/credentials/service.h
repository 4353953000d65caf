#ifndef KEYFERRY_SERVER_CREDENTIALS_SERVICE_H_
#define KEYFERRY_SERVER_CREDENTIALS_SERVICE_H_

#include <memory>

#include "grpcpp/impl/service_type.h"
#include "server/credentials/credential_rules.h"
#include "server/rpc/dispatcher.h"

namespace keyferry::server {

// CredentialService over gRPC. `dispatcher` and `rules` must outlive it.
std::unique_ptr<grpc::Service> MakeCredentialService(Dispatcher* dispatcher, CredentialRules* rules);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_CREDENTIALS_SERVICE_H_
