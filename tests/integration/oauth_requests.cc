// The methods about OAuth providers and connections.
#include "absl/strings/str_cat.h"
#include "tests/integration/bad_requests.h"
#include "tests/integration/world_connections.h"

namespace keyferry::testing {
namespace {

constexpr char kProvider[] = "orgs/acme/oauthProviders/idp";
constexpr char kConnection[] = "orgs/acme/connections/idp";
constexpr char kOfTeam[] = "orgs/acme/teams/eng/connections/idp";
constexpr char kOfUser[] = "orgs/acme/users/mia/connections/idp";
constexpr char kAttempt[] = "orgs/acme/users/mia/connectionAttempts/0123456789abcdef0123456789abcdef";

BadRequests BadProviderNames(const std::string& path) {
  return Join(
      {BadNames(path, kProvider,
                {"orgs/acme", "orgs/acme/oauthProviders", "orgs/acme/oauthProviders/", "orgs/acme/oauthProviders/Idp",
                 "orgs/acme/oauthProviders/..", "orgs/acme/oauthproviders/idp",
                 "orgs/acme/teams/eng/oauthProviders/idp", "orgs/acme/users/mia/oauthProviders/idp", kConnection}),
       Absent(path,
              {"orgs/acme/oauthProviders/absent", "orgs/void/oauthProviders/idp", "orgs/rival/oauthProviders/idp"})});
}

// Of a definition in the request, whatever the method: one for each of its parts and each kind of check.
BadRequests BadDefinitions() {
  const auto bad = [](const std::string& label, const std::string& edit, const std::string& field) {
    return Invalid(label, absl::StrCat("oauth_provider { ", edit, " }"), "oauth_provider." + field);
  };
  std::string scopes;
  for (int i = 0; i < 101; ++i) absl::StrAppend(&scopes, " scopes: 's", i, "'");
  return Join(
      {BadTexts("oauth_provider.display_name", 256),
       {bad("grant type", "grant_type: 99", "grant_type"),
        bad("http", "endpoints { token_url: 'http://idp.example.com/' }", "endpoints.token_url"),
        bad("user information", "endpoints { token_url: 'https://a@idp.example.com/' }", "endpoints.token_url"),
        bad("fragment", "endpoints { authorization_url: 'https://idp.example.com/#a' }", "endpoints.authorization_url"),
        bad("unknown placeholder", "endpoints { userinfo_url: 'https://{x}.example.com/' }", "endpoints.userinfo_url"),
        bad("a URL of 100,000 bytes",
            absl::StrCat("endpoints { revocation_url: 'https://a.example.com/", std::string(100000, 'a'), "' }"),
            "endpoints.revocation_url"),
        bad("secret of 5,000 bytes", absl::StrCat("client { client_secret: '", std::string(5000, 's'), "' }"),
            "client.client_secret"),
        bad("authentication", "client { authentication: -1 }", "client.authentication"),
        bad("certificate", "client { certificate: 'x' certificate_private_key: 'marker-5e11ed' }",
            "client.certificate"),
        bad("registration with an id", "client { register_dynamically: true }", "client.client_id"),
        bad("scope twice", "authorization { scopes: 'a' scopes: 'a' }", "authorization.scopes[1]"),
        bad("101 scopes", absl::StrCat("authorization { ", scopes, " }"), "authorization.scopes"),
        bad("own state", "authorization { parameters { name: 'state' value: 'x' } }",
            "authorization.parameters[0].name"),
        bad("header that ends the line", "token { headers { name: 'X' value: 'a\\r\\nHost: b' } }",
            "token.headers[0].value"),
        bad("header Host", "token { headers { name: 'Host' value: 'b' } }", "token.headers[0].name"),
        bad("lifetime", "token { lifetime { seconds: -1 } }", "token.lifetime"),
        bad("path", "token { response { access_token_path: 'a..b' } }", "token.response.access_token_path"),
        bad("rate", "refresh { max_per_second: nan }", "refresh.max_per_second"),
        bad("claim", "assertion { claims { name: 'exp' value: '1' } }", "assertion.claims[0].name"),
        bad("pattern", "url_variables { name: 'a' pattern: '.*' }", "url_variables[0].pattern"),
        bad("variable twice", "url_variables { name: 'a' } url_variables { name: 'a' }", "url_variables[1].name"),
        bad("account path", "account_path: '..'", "account_path")}});
}

BadRequests StaleEtags(const std::string& path) {
  return {Fails("stale etag", Set(path, "stale"), grpc::ABORTED),
          Fails("another's etag", Set(path, "$ORG_ETAG"), grpc::ABORTED),
          Fails("etag of 100,000 bytes", Set(path, std::string(100000, 'A')), grpc::ABORTED)};
}

std::vector<MethodEntry> ProviderEntries() {
  const std::string name = absl::StrCat("name: '", kProvider, "'");
  return {
      {"OauthProviderService.CreateOauthProvider", Who::kAdmin, NewProvider("acme", "new"),
       Join({BadNames("parent", "orgs/acme", {"orgs/acme/teams/eng", "orgs/acme/users/mia", kProvider}),
             BadIds("oauth_provider_id"),
             BadDefinitions(),
             Refused("DDDDDDNN"),
             Absent("parent", {"orgs/void", "orgs/rival"}),
             {Fails("taken", "oauth_provider_id: 'idp'", grpc::ALREADY_EXISTS),
              Fails("taken, validate only", "oauth_provider_id: 'idp' validate_only: true", grpc::ALREADY_EXISTS),
              Fails("not permitted, validate only", "validate_only: true", grpc::PERMISSION_DENIED, Who::kMember)}})},
      {"OauthProviderService.GetOauthProvider", Who::kAdmin, name,
       Join({BadProviderNames("name"), Refused("......NN")})},
      {"OauthProviderService.ListOauthProviders", Who::kAdmin, "parent: 'orgs/acme'",
       Join({BadNames("parent", "orgs/acme", {"orgs/acme/teams/eng", "orgs/acme/users/mia", kProvider}),
             Absent("parent", {"orgs/void", "orgs/rival"}),
             BadPages(),
             Refused("......NN"),
             {Invalid("page token of another list", "page_token: '$PAGE_TOKEN'", "page_token")}})},
      {"OauthProviderService.UpdateOauthProvider", Who::kAdmin,
       absl::StrCat("oauth_provider { ", name, " display_name: 'same' } update_mask { paths: 'display_name' }"),
       Join({BadProviderNames("oauth_provider.name"),
             BadMasks(),
             BadTexts("oauth_provider.display_name", 256),
             Refused("DDDDDDNN"),
             StaleEtags("oauth_provider.etag"),
             {Invalid("fixed: jwks", "update_mask { paths: 'client.jwks' }", "update_mask"),
              Invalid("required: token URL", "update_mask { paths: 'endpoints.token_url' }",
                      "oauth_provider.endpoints.token_url"),
              Invalid("registration", "oauth_provider { client { register_dynamically: true } }",
                      "oauth_provider.client.register_dynamically")}})},
      {"OauthProviderService.CheckOauthProvider", Who::kAdmin, name,
       Join({BadProviderNames("name"), Refused("DDDDDDNN")})},
  };
}

MethodEntry DeleteProviderEntry() {
  return {"OauthProviderService.DeleteOauthProvider", Who::kAdmin, "name: 'orgs/acme/oauthProviders/spare'",
          Join({BadProviderNames("name"),
                Refused("DDDDDDNN"),
                StaleEtags("etag"),
                {Fails("not permitted, validate only", "validate_only: true", grpc::PERMISSION_DENIED, Who::kMember),
                 Fails("stale, validate only", "validate_only: true etag: 'stale'", grpc::ABORTED)}})};
}

BadRequests BadConnectionNames() {
  return Join(
      {BadNames("name", kConnection,
                {"orgs/acme", "orgs/acme/connections", "orgs/acme/connections/", "orgs/acme/connections/Idp",
                 "orgs/acme/connections/..", "orgs/acme/services/portal/connections/idp",
                 "orgs/acme/workloads/runner/connections/idp", "orgs/acme/credentials/idp", kProvider}),
       Absent("name", {"orgs/acme/connections/absent", "orgs/void/connections/idp", "orgs/rival/connections/idp",
                       "orgs/acme/users/mia/connections/idp", "orgs/acme/users/void/connections/idp"})});
}

BadRequests BadStarts() {
  std::string scopes;
  for (int i = 0; i < 101; ++i) absl::StrAppend(&scopes, " scopes: 's", i, "'");
  return {
      Invalid("scope: empty", "scopes: ''", "scopes[0]"),
      Invalid("scope: space", "scopes: 'a b'", "scopes[0]"),
      Invalid("scope: line end", "scopes: 'a\\r\\n'", "scopes[0]"),
      Invalid("scope: 100,000 bytes", Set("scopes", std::string(100000, 'a')), "scopes[0]"),
      Invalid("scopes: 101", scopes, "scopes"),
      Invalid("variable that there is not", "url_variables { key: 'shop' value: 'x' }", "url_variables"),
      Invalid("variable of 1,000 bytes",
              absl::StrCat("url_variables { key: 'shop' value: '", std::string(1000, 'x'), "' }"), "url_variables"),
      Fails("provider that there is not", "oauth_provider_id: 'absent'", grpc::NOT_FOUND),
      Fails("for a team, as the org's ADMIN", "parent: 'orgs/acme/teams/eng'", grpc::PERMISSION_DENIED),
      Fails("for another, as the org's ADMIN", "parent: 'orgs/acme/users/mia'", grpc::PERMISSION_DENIED),
      Fails("for another", "parent: 'orgs/acme/users/mia'", grpc::NOT_FOUND, Who::kOwner),
  };
}

std::vector<MethodEntry> ConnectionEntries() {
  const std::string name = absl::StrCat("name: '", kConnection, "'");
  const BadRequests sees =
      Join({Refused("......NN"), Refused("N...NNNN", Set("name", kOfTeam)), Refused(".NNNNNNN", Set("name", kOfUser))});
  const BadRequests changes =
      Join({Refused("DDDDDDNN"), Refused("N..DNNNN", Set("name", kOfTeam)), Refused(".NNNNNNN", Set("name", kOfUser))});
  return {
      {"ConnectionService.StartConnection", Who::kAdmin, "parent: 'orgs/acme' oauth_provider_id: 'idp'",
       Join({BadNames("parent", "orgs/acme", {"orgs/acme/services/portal", "orgs/acme/workloads/runner", kConnection}),
             BadIds("oauth_provider_id"), BadStarts(),
             Absent("parent", {"orgs/void", "orgs/rival", "orgs/acme/teams/void"}), Refused("DDDDDDNN"),
             Refused("N..DNNNN", "parent: 'orgs/acme/teams/eng'")})},
      {"ConnectionService.GetConnectionAttempt", Who::kMember, "name: '$ATTEMPT'",
       Join({BadNames("name", kAttempt,
                      {"orgs/acme", "orgs/acme/connectionAttempts", "orgs/acme/connectionAttempts/..",
                       "orgs/acme/services/portal/connectionAttempts/x", kOfUser},
                      Who::kMember),
             Absent("name",
                    {kAttempt, "orgs/acme/connectionAttempts/x", "orgs/void/connectionAttempts/x",
                     "orgs/rival/connectionAttempts/x"},
                    Who::kMember),
             Refused(".NNNNNNN"),
             {Fails("of another, as the org's ADMIN", "", grpc::NOT_FOUND)}})},
      {"ConnectionService.GetConnection", Who::kAdmin, name, Join({BadConnectionNames(), sees})},
      {"ConnectionService.ListConnections", Who::kAdmin, "parent: 'orgs/acme'",
       Join({BadNames("parent", "orgs/acme", {"orgs/acme/services/portal", "orgs/acme/workloads/runner", kConnection}),
             Absent("parent", {"orgs/void", "orgs/rival", "orgs/acme/teams/void", "orgs/acme/users/mia"}),
             BadPages(),
             Refused("......NN"),
             Refused("N...NNNN", "parent: 'orgs/acme/teams/eng'"),
             {Invalid("page token of another list", "page_token: '$PAGE_TOKEN'", "page_token"),
              Invalid("all scopes of a team", "parent: 'orgs/acme/teams/eng' all_scopes: true", "all_scopes"),
              Invalid("provider: a whole name", Set("oauth_provider_id", kProvider), "oauth_provider_id"),
              Invalid("provider: 100,000 bytes", Set("oauth_provider_id", std::string(100000, 'a')),
                      "oauth_provider_id")}})},
      {"ConnectionService.RefreshConnection", Who::kAdmin, name,
       Join({BadConnectionNames(),
             changes,
             {Fails("a team's, as the org's ADMIN", Set("name", kOfTeam), grpc::PERMISSION_DENIED)}})},
      {"ConnectionService.DeleteConnection", Who::kAdmin, "name: 'orgs/acme/connections/spare'",
       Join({BadConnectionNames(), changes, StaleEtags("etag")})},
  };
}

}  // namespace

std::vector<MethodEntry> OauthEntries() {
  std::vector<MethodEntry> all = ProviderEntries();
  for (MethodEntry& entry : ConnectionEntries()) all.push_back(std::move(entry));
  // The last, since connections go with their provider.
  all.push_back(DeleteProviderEntry());
  return all;
}

}  // namespace keyferry::testing
