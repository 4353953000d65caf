#ifndef KEYFERRY_SERVER_OAUTH_PROVIDERS_TESTING_PROVIDERS_H_
#define KEYFERRY_SERVER_OAUTH_PROVIDERS_TESTING_PROVIDERS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/credentials/testing_world.h"
#include "server/oauth/connection_refresher.h"
#include "server/oauth/protocol/fake_http_client.h"
#include "server/oauth/protocol/mock_provider.h"
#include "server/oauth/protocol/token_client.h"
#include "server/oauth/providers/provider_rules.h"
#include "server/processes/process_table.h"

namespace keyferry::server {

// Testonly. The World with the rules of providers, one mock provider at https://provider.test, and no network.
class ProviderWorld {
 public:
  static constexpr char kName[] = "orgs/acme/oauthProviders/idp";
  // In client secrets and tokens.
  static constexpr char kSecret[] = "s3cr3t-marker-9d41";

  explicit ProviderWorld(storage::EngineKind engine, MockProviderOptions options = {});

  Caller Admin() const { return world.As("root"); }
  // A definition of all endpoints of the mock provider and a client secret; `edit` is text format and goes after it.
  static v1::OauthProvider Definition(const std::string& edit = "");

  absl::StatusOr<v1::OauthProvider> Create(const Caller& caller, const v1::OauthProvider& definition,
                                           const std::string& id = "idp", bool validate_only = false);
  absl::StatusOr<v1::OauthProvider> Get(const Caller& caller, const std::string& name = kName);
  // `text` is an UpdateOauthProviderRequest without the name.
  absl::StatusOr<v1::OauthProvider> Update(const Caller& caller, const std::string& text,
                                           const std::string& name = kName);
  absl::StatusOr<v1::DeleteOauthProviderResponse> Delete(const Caller& caller, const std::string& name = kName,
                                                         const std::string& etag = "", bool validate_only = false);
  absl::StatusOr<v1::CheckOauthProviderResponse> Check(const Caller& caller, const std::string& name = kName);

  // A connection with tokens, as if somebody had consented.
  void Connect(const std::string& parent, const std::string& provider = "idp", const std::string& org = "acme");
  // How many records of the table the org has.
  int Count(storage::Table table, const std::string& org = "acme");
  // What is stored, secrets included.
  v1::OauthProvider Stored(const std::string& id = "idp");

  World world;
  MockProvider provider;
  // Answers a request before the mock provider does, unless its status is 0.
  std::function<HttpResponse(const HttpRequest&)> first;
  FakeHttpClient http;
  std::unique_ptr<TokenClient> tokens;
  ProcessTable processes;
  // Connections that the rules said are gone.
  std::vector<ConnectionKey> gone;
  OauthProviderRules rules;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROVIDERS_TESTING_PROVIDERS_H_
