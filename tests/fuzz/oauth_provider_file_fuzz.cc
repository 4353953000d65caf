// OAuth provider files as people write them: errors name a place, and what is accepted holds no secret and nothing that
// the server alone sets.
#include <cstdint>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "client/oauth_provider_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto provider = keyferry::client::ParseOauthProviderFile(text, "file.yaml");
  if (!provider.ok()) {
    if (!absl::StartsWith(provider.status().message(), "file.yaml:")) std::abort();
    return 0;
  }
  const keyferry::v1::OauthClient& client = provider->client();
  if (!client.client_secret().empty() || !client.certificate_private_key().empty() ||
      !client.registration_token().empty() || client.has_client_secret() || !client.jwks().empty()) {
    std::abort();
  }
  if (!provider->name().empty() || !provider->callback_url().empty() || !provider->etag().empty()) std::abort();
  // What was read can be sent.
  keyferry::v1::OauthProvider sent;
  if (!sent.ParseFromString(provider->SerializeAsString())) std::abort();
  return 0;
}
