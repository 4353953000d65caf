#ifndef KEYFERRY_SERVER_OAUTH_PROVIDERS_SERVICE_H_
#define KEYFERRY_SERVER_OAUTH_PROVIDERS_SERVICE_H_

#include <memory>

#include "grpcpp/impl/service_type.h"
#include "server/oauth/providers/provider_rules.h"
#include "server/rpc/dispatcher.h"

namespace keyferry::server {

// OauthProviderService over gRPC. `dispatcher` and `rules` must outlive it.
std::unique_ptr<grpc::Service> MakeOauthProviderService(Dispatcher* dispatcher, OauthProviderRules* rules);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROVIDERS_SERVICE_H_
