#include "server/oauth/protocol/mock_provider_server.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace keyferry::server {

MockProviderServer::MockProviderServer(const TestCa& ca, MockProviderOptions options, std::function<absl::Time()> clock)
    : client_(options.client) {
  const TestIdentity identity = ca.Issue();
  HttpsListener::Options listen;
  listen.max_connections_per_address = listen.max_connections;
  auto listener =
      HttpsListener::Start(listen, identity.certificate, storage::SecretBytes::CopyOf(identity.key),
                           [this](ReceivedRequest received, const std::function<void(HttpResponse)>& respond) {
                             respond(Answer(std::move(received)));
                           });
  if (!listener.ok()) {
    fprintf(stderr, "the mock provider cannot listen: %s\n", std::string(listener.status().message()).c_str());
    abort();
  }
  issuer_ = (*listener)->public_url();
  options.issuer = issuer_;
  provider_ = std::make_unique<MockProvider>(std::move(options), std::move(clock));
  // Nobody knows the port before.
  listener_ = *std::move(listener);
}

MockProviderServer::~MockProviderServer() = default;

HttpResponse MockProviderServer::Answer(ReceivedRequest received) {
  received.request.url = absl::StrCat(issuer_, received.request.url);
  HttpResponse answer = first == nullptr ? HttpResponse() : first(received.request);
  return answer.status != 0 ? std::move(answer) : provider_->Handle(received.request);
}

v1::OauthProvider MockProviderServer::Definition() const {
  v1::OauthProvider provider;
  provider.set_grant_type(v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE);
  v1::OauthEndpoints& endpoints = *provider.mutable_endpoints();
  endpoints.set_issuer(issuer_);
  endpoints.set_authorization_url(absl::StrCat(issuer_, "/authorize"));
  endpoints.set_token_url(absl::StrCat(issuer_, "/token"));
  endpoints.set_revocation_url(absl::StrCat(issuer_, "/revoke"));
  endpoints.set_userinfo_url(absl::StrCat(issuer_, "/userinfo"));
  v1::OauthClient& client = *provider.mutable_client();
  client.set_client_id(client_.id);
  client.set_client_secret(client_.secret);
  client.set_authentication(client_.authentication);
  provider.mutable_authorization()->add_scopes("read");
  return provider;
}

}  // namespace keyferry::server
