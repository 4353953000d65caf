#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_TOKEN_REQUEST_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_TOKEN_REQUEST_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/repeated_field.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/http/http_client.h"
#include "server/oauth/protocol/parameters.h"
#include "server/oauth/protocol/token_client.h"

namespace keyferry::server {

using OauthParameters = google::protobuf::RepeatedPtrField<v1::OauthParameter>;

// A request to an endpoint of a provider, before it has the form that the provider wants.
struct TokenRequest {
  TokenRequest() = default;
  TokenRequest(TokenRequest&&) = default;
  ~TokenRequest();

  // Expanded.
  std::string url;
  v1::OauthRequestFormat format = v1::OAUTH_REQUEST_FORMAT_FORM;
  // Under the standard's names.
  ParameterList parameters;
  // Added after the standard's, and in place of those of the same name.
  ParameterList own_parameters;
  // In place of any of the same name that the request has by itself.
  HttpHeaders headers;
  std::shared_ptr<const HttpClientIdentity> identity;
};

// Puts the definition's parameters and headers into the request, with `values` for their placeholders. INVALID_ARGUMENT
// if a header cannot be sent.
absl::Status AddOwn(const OauthParameters& parameters, const OauthParameters& headers, const UrlVariables& values,
                    TokenRequest* request);

// Gives the standard's parameters the provider's own names. A name that is empty leaves the parameter out.
void RenameParameters(const OauthParameters& renamed, ParameterList* parameters);

// The request as it is sent (RFC 6749, section 4.1.3 and the formats that providers have made of it). A parameter that
// comes several times is an array in JSON.
HttpRequest BuildRequest(TokenRequest request, v1::OauthResponseFormat expected);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_TOKEN_REQUEST_H_
