#include "server/oauth/providers/provider_setup.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "keyferry/v1/errors.pb.h"
#include "server/errors.h"
#include "server/oauth/protocol/discovery.h"
#include "server/oauth/protocol/registration.h"
#include "server/oauth/providers/awaiting.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {
namespace {

absl::Status Failed(absl::string_view reason, absl::string_view field, absl::string_view what,
                    const absl::Status& status, absl::string_view next_step) {
  v1::ErrorDetail detail;
  detail.set_reason(std::string(reason));
  detail.set_field(std::string(field));
  detail.set_next_step(std::string(next_step));
  return MakeError(absl::StatusCode::kFailedPrecondition, absl::StrCat(what, ": ", status.message()), detail);
}

bool ByPerson(const v1::OauthProvider& provider) {
  return provider.grant_type() == v1::OAUTH_GRANT_TYPE_UNSPECIFIED ||
         provider.grant_type() == v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE;
}

}  // namespace

bool NeedsDiscovery(const v1::OauthProvider& provider) {
  const v1::OauthEndpoints& endpoints = provider.endpoints();
  if (endpoints.issuer().empty() && endpoints.resource().empty()) return false;
  return endpoints.token_url().empty() || (ByPerson(provider) && endpoints.authorization_url().empty()) ||
         (provider.client().register_dynamically() && endpoints.registration_url().empty()) ||
         (provider.token().introspect() && endpoints.introspection_url().empty());
}

absl::Status DiscoverInto(HttpClient* http, absl::Duration timeout, v1::OauthProvider* provider) {
  absl::StatusOr<DiscoveredMetadata> found = Await<DiscoveredMetadata>(
      timeout, [&](const auto& done) { Discover(http, provider->endpoints(), timeout, done); });
  if (!found.ok()) {
    const bool by_issuer = !provider->endpoints().issuer().empty();
    return Failed("DISCOVERY_FAILED",
                  by_issuer ? "oauth_provider.endpoints.issuer" : "oauth_provider.endpoints.resource",
                  "the provider's metadata could not be used", found.status(),
                  "Correct the URL, or send the endpoints yourself; nothing was changed.");
  }
  *provider->mutable_endpoints() = found->endpoints;
  v1::OauthAuthorization* const authorization = provider->mutable_authorization();
  const auto& resources = authorization->resources();
  if (!found->resource.empty() && std::find(resources.begin(), resources.end(), found->resource) == resources.end()) {
    authorization->add_resources(found->resource);
  }
  if (found->issuer_in_callback) authorization->set_require_issuer(true);
  v1::OauthClient* const client = provider->mutable_client();
  if (client->authentication() == v1::OAUTH_CLIENT_AUTHENTICATION_UNSPECIFIED && !client->register_dynamically()) {
    client->set_authentication(PickAuthentication(*found, *client));
  }
  return absl::OkStatus();
}

absl::Status RegisterInto(HttpClient* http, absl::Duration timeout, const std::string& callback_url,
                          absl::string_view jwks, v1::OauthProvider* provider) {
  v1::OauthClient* const client = provider->mutable_client();
  RegistrationRequest request;
  request.redirect_uri = callback_url;
  request.client_name = "Keyferry";
  request.scopes.assign(provider->authorization().scopes().begin(), provider->authorization().scopes().end());
  request.grant_types = {provider->grant_type()};
  request.authentication = client->authentication();
  request.jwks = std::string(jwks);
  request.registration_token = storage::SecretBytes::TakeFrom(*client->mutable_registration_token());
  absl::StatusOr<RegisteredClient> registered = Await<RegisteredClient>(timeout, [&](const auto& done) {
    RegisterClient(http, provider->endpoints().registration_url(), std::move(request), timeout, done);
  });
  if (!registered.ok()) {
    return Failed("REGISTRATION_FAILED", "oauth_provider.client.register_dynamically",
                  "the provider registered no client", registered.status(),
                  "Register a client at the provider yourself and send its id; nothing was stored.");
  }
  client->set_client_id(registered->client_id);
  const absl::string_view secret = registered->client_secret.Expose();
  client->set_client_secret(secret.data(), secret.size());
  client->set_authentication(registered->authentication);
  return absl::OkStatus();
}

}  // namespace keyferry::server
