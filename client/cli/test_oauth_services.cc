#include "client/cli/test_oauth_services.h"

#include <grpcpp/server_context.h>

#include "absl/strings/str_cat.h"

namespace keyferry::client::cli {

using grpc::Status;

Status TestOauthServices::CreateOauthProvider(Context* context, const v1::CreateOauthProviderRequest* request,
                                              v1::OauthProvider* response) {
  *response = request->oauth_provider();
  response->set_name(absl::StrCat(request->parent(), "/oauthProviders/", request->oauth_provider_id()));
  response->mutable_client()->clear_client_secret();
  response->mutable_client()->set_has_client_secret(!request->oauth_provider().client().client_secret().empty());
  response->set_callback_url("https://keyferry.example.com/oauth/callback/00112233445566778899aabbccddeeff");
  if (response->client().authentication() == v1::OAUTH_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT) {
    response->mutable_client()->set_jwks("{\"keys\":[]}");
  }
  return record_(context, *request);
}

Status TestOauthServices::GetOauthProvider(Context* context, const v1::GetOauthProviderRequest* request,
                                           v1::OauthProvider* response) {
  absl::MutexLock lock(&mutex_);
  if (answers_.no_provider) return Status(grpc::StatusCode::NOT_FOUND, request->name() + ": not found");
  *response = answers_.provider;
  response->set_name(request->name());
  response->set_etag("etag-1");
  return record_(context, *request);
}

Status TestOauthServices::ListOauthProviders(Context* context, const v1::ListOauthProvidersRequest* request,
                                             v1::ListOauthProvidersResponse* response) {
  absl::MutexLock lock(&mutex_);
  *response->add_oauth_providers() = answers_.provider;
  response->mutable_oauth_providers(0)->set_name(request->parent() + "/oauthProviders/google");
  return record_(context, *request);
}

Status TestOauthServices::UpdateOauthProvider(Context* context, const v1::UpdateOauthProviderRequest* request,
                                              v1::OauthProvider* response) {
  absl::MutexLock lock(&mutex_);
  response->set_name(request->oauth_provider().name());
  if (answers_.provider.has_client()) *response->mutable_client() = answers_.provider.client();
  response->set_outdated_connection_count(answers_.outdated_connections);
  return record_(context, *request);
}

Status TestOauthServices::DeleteOauthProvider(Context* context, const v1::DeleteOauthProviderRequest* request,
                                              v1::DeleteOauthProviderResponse* response) {
  absl::MutexLock lock(&mutex_);
  *response = answers_.affected;
  return record_(context, *request);
}

Status TestOauthServices::CheckOauthProvider(Context* context, const v1::CheckOauthProviderRequest* request,
                                             v1::CheckOauthProviderResponse* response) {
  absl::MutexLock lock(&mutex_);
  *response = answers_.check;
  return record_(context, *request);
}

Status TestOauthServices::StartConnection(Context* context, const v1::StartConnectionRequest* request,
                                          v1::StartConnectionResponse* response) {
  absl::MutexLock lock(&mutex_);
  v1::ConnectionAttempt* attempt = response->mutable_attempt();
  attempt->set_name(request->parent() + "/connectionAttempts/a1");
  attempt->set_connection(absl::StrCat(request->parent(), "/connections/", request->oauth_provider_id()));
  attempt->set_state(answers_.start_url.empty() ? v1::CONNECTION_ATTEMPT_STATE_SUCCEEDED
                                                : v1::CONNECTION_ATTEMPT_STATE_PENDING);
  if (!answers_.start_url.empty()) {
    response->set_start_url(answers_.start_url);
    response->set_confirmation_code("WXYZ-1234");
  }
  return record_(context, *request);
}

Status TestOauthServices::GetConnectionAttempt(Context* context, const v1::GetConnectionAttemptRequest* request,
                                               v1::ConnectionAttempt* response) {
  absl::MutexLock lock(&mutex_);
  if (answers_.unavailable_attempts-- > 0) return Status(grpc::StatusCode::UNAVAILABLE, "restarting");
  *response = answers_.attempts.front();
  if (answers_.attempts.size() > 1) answers_.attempts.erase(answers_.attempts.begin());
  response->set_name(request->name());
  return record_(context, *request);
}

Status TestOauthServices::GetConnection(Context* context, const v1::GetConnectionRequest* request,
                                        v1::Connection* response) {
  absl::MutexLock lock(&mutex_);
  if (answers_.no_connection) return Status(grpc::StatusCode::NOT_FOUND, request->name() + ": not found");
  *response = answers_.connection;
  response->set_name(request->name());
  return record_(context, *request);
}

Status TestOauthServices::ListConnections(Context* context, const v1::ListConnectionsRequest* request,
                                          v1::ListConnectionsResponse* response) {
  absl::MutexLock lock(&mutex_);
  *response->add_connections() = answers_.connection;
  response->mutable_connections(0)->set_name(request->parent() + "/connections/google");
  return record_(context, *request);
}

Status TestOauthServices::RefreshConnection(Context* context, const v1::RefreshConnectionRequest* request,
                                            v1::Connection* response) {
  absl::MutexLock lock(&mutex_);
  if (answers_.no_connection) return Status(grpc::StatusCode::NOT_FOUND, request->name() + ": not found");
  *response = answers_.connection;
  response->set_name(request->name());
  return record_(context, *request);
}

Status TestOauthServices::DeleteConnection(Context* context, const v1::DeleteConnectionRequest* request,
                                           google::protobuf::Empty*) {
  return record_(context, *request);
}

}  // namespace keyferry::client::cli
