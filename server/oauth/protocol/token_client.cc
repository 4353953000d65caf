#include "server/oauth/protocol/token_client.h"

namespace keyferry::server {

ProviderDefinition::~ProviderDefinition() {
  v1::OauthClient& client = *provider.mutable_client();
  storage::WipeString(*client.mutable_client_secret());
  storage::WipeString(*client.mutable_certificate_private_key());
  storage::WipeString(*client.mutable_registration_token());
}

}  // namespace keyferry::server
