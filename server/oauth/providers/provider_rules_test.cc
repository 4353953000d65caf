#include "server/oauth/providers/provider_rules.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/errors.h"
#include "server/oauth/connection_records.h"
#include "server/oauth/providers/testing_providers.h"

namespace keyferry::server {
namespace {

using storage::EngineKind;
using storage::Table;

constexpr char kPublic[] = "endpoints { issuer: 'https://provider.test' } client { client_id: 'client-1' }";

class ProviderRulesTest : public testing::TestWithParam<EngineKind> {
 protected:
  // A definition of the text alone.
  static v1::OauthProvider Only(const std::string& text) {
    v1::OauthProvider all = ProviderWorld::Definition();
    all.Clear();
    v1::OauthProvider edited = ProviderWorld::Definition(text);
    if (absl::StrContains(text, "endpoints")) {
      *all.mutable_endpoints() = edited.endpoints();
      all.mutable_endpoints()->clear_authorization_url();
      all.mutable_endpoints()->clear_token_url();
      all.mutable_endpoints()->clear_revocation_url();
    }
    *all.mutable_client() = edited.client();
    all.mutable_client()->clear_client_secret();
    if (edited.client().register_dynamically()) all.mutable_client()->clear_client_id();
    *all.mutable_authorization() = edited.authorization();
    return all;
  }

  ProviderWorld w_{GetParam()};
};

TEST_P(ProviderRulesTest, CreatesAndShowsWithoutSecrets) {
  const auto created = w_.Create(w_.Admin(), ProviderWorld::Definition());
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->name(), ProviderWorld::kName);
  EXPECT_THAT(created->callback_url(), testing::MatchesRegex("https://keyferry.test/oauth/callback/[0-9a-f]{32}"));
  EXPECT_EQ(created->creator(), "orgs/acme/users/root");
  EXPECT_EQ(created->create_time().seconds(), absl::ToUnixSeconds(w_.world.now));
  EXPECT_TRUE(created->client().has_client_secret());
  EXPECT_EQ(created->client().jwks(), "");
  EXPECT_FALSE(absl::StrContains(created->DebugString(), ProviderWorld::kSecret));
  EXPECT_EQ(w_.Stored().client().client_secret(), ProviderWorld::kSecret);
  for (const char* user : {"root", "ada", "zoe"}) {
    const auto got = w_.Get(w_.world.As(user));
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->SerializeAsString(), created->SerializeAsString()) << user;
  }
  const auto again = w_.Create(w_.Admin(), ProviderWorld::Definition());
  EXPECT_EQ(DetailOf(again.status()).reason(), "ALREADY_EXISTS");
  EXPECT_EQ(w_.http.requests().size(), 0u) << "nobody is asked if nothing is missing";
}

TEST_P(ProviderRulesTest, OnlyAdminsChange) {
  ASSERT_TRUE(w_.Create(w_.world.Service(v1::ORG_ROLE_ADMIN), ProviderWorld::Definition()).ok());
  const storage::Revision before = w_.world.Revision();
  const Caller ada = w_.world.As("ada");
  EXPECT_EQ(DetailOf(w_.Create(ada, ProviderWorld::Definition(), "x").status()).reason(), "PERMISSION_DENIED");
  EXPECT_EQ(DetailOf(w_.Create(ada, ProviderWorld::Definition()).status()).reason(), "PERMISSION_DENIED");
  EXPECT_EQ(DetailOf(w_.Update(ada, "update_mask { paths: 'display_name' }").status()).reason(), "PERMISSION_DENIED");
  EXPECT_EQ(DetailOf(w_.Delete(ada).status()).reason(), "PERMISSION_DENIED");
  EXPECT_EQ(DetailOf(w_.Delete(ada, ProviderWorld::kName, "", /*validate_only=*/true).status()).reason(),
            "PERMISSION_DENIED");
  EXPECT_EQ(DetailOf(w_.Check(ada).status()).reason(), "PERMISSION_DENIED");
  Caller mallory = w_.world.As("mallory");
  mallory.org = "other";
  for (const Caller& stranger : {mallory, w_.world.Workload({})}) {
    const std::string absent = "orgs/acme/oauthProviders/none";
    EXPECT_EQ(w_.Get(stranger).status(), NotFound(ProviderWorld::kName));
    EXPECT_EQ(w_.Get(stranger, absent).status(), NotFound(absent));
    EXPECT_EQ(w_.Delete(stranger).status(), NotFound(ProviderWorld::kName));
    EXPECT_EQ(w_.Check(stranger).status(), NotFound(ProviderWorld::kName));
    EXPECT_EQ(w_.Create(stranger, ProviderWorld::Definition()).status(), NotFound(ProviderWorld::kName));
  }
  EXPECT_EQ(w_.world.Revision(), before);
  EXPECT_EQ(w_.http.requests().size(), 0u);
}

TEST_P(ProviderRulesTest, UpdatesWhatTheMaskNamesAndKeepsTheSecret) {
  const auto created = w_.Create(w_.Admin(), ProviderWorld::Definition());
  ASSERT_TRUE(created.ok());
  w_.world.now += absl::Hours(1);
  const auto updated = w_.Update(w_.Admin(), absl::StrCat("oauth_provider { display_name: 'New' etag: '",
                                                          created->etag(), "' client { client_id: 'client-2' } } ",
                                                          "update_mask { paths: 'display_name' paths: 'client' }"));
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->display_name(), "New");
  EXPECT_EQ(updated->client().client_id(), "client-2");
  EXPECT_NE(updated->etag(), created->etag());
  EXPECT_EQ(updated->update_time().seconds() - updated->create_time().seconds(), 3600);
  EXPECT_EQ(w_.Stored().client().client_secret(), ProviderWorld::kSecret);
  const auto rotated = w_.Update(
      w_.Admin(),
      "oauth_provider { client { client_secret: 's3cr3t-new' } } update_mask { paths: 'client.client_secret' }");
  ASSERT_TRUE(rotated.ok()) << rotated.status();
  EXPECT_EQ(w_.Stored().client().client_secret(), "s3cr3t-new");
  EXPECT_FALSE(absl::StrContains(rotated->DebugString(), "s3cr3t"));

  const storage::Revision before = w_.world.Revision();
  const auto stale = w_.Update(w_.Admin(), absl::StrCat("oauth_provider { etag: '", created->etag(),
                                                        "' } update_mask { paths: 'display_name' }"));
  EXPECT_EQ(DetailOf(stale.status()).reason(), "STALE_ETAG");
  const struct {
    const char* text;
    const char* field;
  } bad[] = {
      {"", "update_mask"},
      {"update_mask { paths: 'endpoints.token_url' }", "oauth_provider.endpoints.token_url"},
      {"update_mask { paths: 'client.client_id' }", "oauth_provider.client.client_id"},
      {"oauth_provider { endpoints { token_url: 'http://x/' } } update_mask { paths: 'endpoints.token_url' }",
       "oauth_provider.endpoints.token_url"},
      {"oauth_provider { client { register_dynamically: true } } update_mask { paths: 'client' }",
       "oauth_provider.client.register_dynamically"},
  };
  for (const auto& one : bad) {
    const auto refused = w_.Update(w_.Admin(), one.text);
    EXPECT_EQ(DetailOf(refused.status()).field(), one.field) << refused.status();
  }
  EXPECT_EQ(w_.world.Revision(), before);
  EXPECT_EQ(w_.Update(w_.Admin(), "update_mask { paths: 'display_name' }", "orgs/acme/oauthProviders/none").status(),
            NotFound("orgs/acme/oauthProviders/none"));
}

TEST_P(ProviderRulesTest, DiscoversFromTheIssuer) {
  const auto created = w_.Create(w_.Admin(), Only(kPublic));
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->endpoints().token_url(), "https://provider.test/token");
  EXPECT_EQ(created->endpoints().authorization_url(), "https://provider.test/authorize");
  EXPECT_EQ(created->endpoints().revocation_url(), "https://provider.test/revoke");
  EXPECT_EQ(created->grant_type(), v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE);
  const size_t asked = w_.http.requests().size();
  EXPECT_GT(asked, 0u);
  ASSERT_TRUE(w_.Update(w_.Admin(), "oauth_provider { display_name: 'x' } update_mask { paths: 'display_name' }").ok());
  EXPECT_EQ(w_.http.requests().size(), asked) << "an update asks again only for what is missing";
}

TEST_P(ProviderRulesTest, DiscoversFromAProtectedResource) {
  const auto created = w_.Create(
      w_.Admin(), Only("endpoints { resource: 'https://provider.test/mcp' } client { client_id: 'client-1' }"));
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->endpoints().issuer(), "https://provider.test");
  ASSERT_EQ(created->authorization().resources_size(), 1);
  EXPECT_EQ(created->authorization().resources(0), "https://provider.test/mcp");
}

TEST_P(ProviderRulesTest, WhatCannotBeDiscoveredIsNotStored) {
  const storage::Revision before = w_.world.Revision();
  const FakeHttpClient::Fault faults[] = {
      FakeHttpClient::Fault::kTimeout,        FakeHttpClient::Fault::kNoConnection,
      FakeHttpClient::Fault::kAddressRefused, FakeHttpClient::Fault::kAnswerTooLarge,
      FakeHttpClient::Fault::kServerError,    FakeHttpClient::Fault::kHtml,
      FakeHttpClient::Fault::kRedirect};
  for (const auto fault : faults) {
    w_.http.Inject(fault, /*count=*/100);
    const auto refused = w_.Create(w_.Admin(), Only(kPublic));
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition) << static_cast<int>(fault);
    EXPECT_EQ(DetailOf(refused.status()).reason(), "DISCOVERY_FAILED") << refused.status();
    EXPECT_NE(DetailOf(refused.status()).next_step(), "");
    w_.http.ClearFaults();
  }
  const auto other = w_.Create(w_.Admin(), Only("endpoints { issuer: 'https://provider.test/other' } "
                                                "client { client_id: 'client-1' }"));
  EXPECT_EQ(DetailOf(other.status()).reason(), "DISCOVERY_FAILED") << "metadata of another issuer";
  EXPECT_EQ(w_.world.Revision(), before);
}

TEST_P(ProviderRulesTest, TheRedirectUriIsItsOwnAndStays) {
  const auto created = w_.Create(w_.Admin(), ProviderWorld::Definition());
  const auto other = w_.Create(w_.Admin(), ProviderWorld::Definition(), "idp2");
  ASSERT_TRUE(created.ok() && other.ok());
  EXPECT_NE(created->callback_url(), other->callback_url());
  EXPECT_FALSE(absl::StrContains(created->callback_url(), "idp"));
  EXPECT_FALSE(absl::StrContains(created->callback_url(), "acme"));
  const auto updated = w_.Update(w_.Admin(),
                                 "oauth_provider { endpoints { token_url: 'https://provider.test/other' } } "
                                 "update_mask { paths: 'endpoints.token_url' }");
  ASSERT_TRUE(updated.ok()) << updated.status();
  EXPECT_EQ(updated->callback_url(), created->callback_url());
  EXPECT_EQ(w_.Get(w_.Admin())->callback_url(), created->callback_url());
  ASSERT_TRUE(w_.Delete(w_.Admin()).ok());
  EXPECT_EQ(w_.Create(w_.Admin(), ProviderWorld::Definition())->callback_url(), created->callback_url());
}

TEST_P(ProviderRulesTest, RegistersAClient) {
  const std::string text = "endpoints { issuer: 'https://provider.test' } client { register_dynamically: true }";
  const auto tried = w_.Create(w_.Admin(), Only(text), "idp", /*validate_only=*/true);
  ASSERT_TRUE(tried.ok()) << tried.status();
  EXPECT_EQ(tried->etag(), "");
  EXPECT_EQ(w_.provider.registered_clients().size(), 0u);
  EXPECT_EQ(w_.Count(Table::kOauthProvider), 0);
  const auto created = w_.Create(w_.Admin(), Only(text));
  ASSERT_TRUE(created.ok()) << created.status() << w_.provider.last_problem();
  ASSERT_EQ(w_.provider.registered_clients().size(), 1u);
  EXPECT_TRUE(
      absl::StrContains(w_.provider.registered_clients()[0], absl::StrCat("\"", created->callback_url(), "\"")));
  EXPECT_EQ(tried->callback_url(), created->callback_url()) << "known before it is made";
  EXPECT_EQ(created->client().client_id(), "client-1");
  EXPECT_FALSE(created->client().register_dynamically());
  EXPECT_EQ(created->client().has_client_secret(), !w_.Stored().client().client_secret().empty());
  EXPECT_NE(created->client().authentication(), v1::OAUTH_CLIENT_AUTHENTICATION_UNSPECIFIED);
  // The name is taken: nobody is asked to register another.
  EXPECT_EQ(DetailOf(w_.Create(w_.Admin(), Only(text)).status()).reason(), "ALREADY_EXISTS");
  EXPECT_EQ(w_.provider.registered_clients().size(), 1u);
}

TEST_P(ProviderRulesTest, ARefusedRegistrationStoresNothing) {
  MockProviderOptions options;
  options.registration_token = "initial-token";
  ProviderWorld strict(GetParam(), options);
  const std::string text = "endpoints { issuer: 'https://provider.test' } client { register_dynamically: true ";
  const auto refused = strict.Create(strict.Admin(), Only(text + "registration_token: 's3cr3t-wrong' }"));
  EXPECT_EQ(DetailOf(refused.status()).reason(), "REGISTRATION_FAILED") << refused.status();
  EXPECT_FALSE(absl::StrContains(Told(refused.status()), "s3cr3t"));
  EXPECT_EQ(strict.Count(Table::kOauthProvider), 0);
  const auto created = strict.Create(strict.Admin(), Only(text + "registration_token: 'initial-token' }"));
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_FALSE(absl::StrContains(strict.Stored().DebugString(), "initial-token"));
}

TEST_P(ProviderRulesTest, KeepsASigningKeyAsLongAsItSigns) {
  const auto created = w_.Create(
      w_.Admin(), ProviderWorld::Definition("client { authentication: OAUTH_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT }"));
  ASSERT_TRUE(created.ok()) << created.status();
  const std::string jwks = created->client().jwks();
  EXPECT_TRUE(absl::StrContains(jwks, "\"RSA\"")) << jwks;
  for (const char* member : {"\"d\"", "\"p\"", "\"q\""}) EXPECT_FALSE(absl::StrContains(jwks, member)) << member;
  const auto same = w_.Update(w_.Admin(),
                              "oauth_provider { display_name: 'x' client { signing_algorithm: "
                              "OAUTH_SIGNING_ALGORITHM_RS256 } } "
                              "update_mask { paths: 'display_name' paths: 'client.signing_algorithm' }");
  ASSERT_TRUE(same.ok()) << same.status();
  EXPECT_EQ(same->client().jwks(), jwks) << "another update made another key";
  const auto other = w_.Update(w_.Admin(),
                               "oauth_provider { client { signing_algorithm: OAUTH_SIGNING_ALGORITHM_ES256 } } "
                               "update_mask { paths: 'client.signing_algorithm' }");
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_TRUE(absl::StrContains(other->client().jwks(), "\"EC\""));
  const auto none = w_.Update(w_.Admin(), "update_mask { paths: 'client.authentication' }");
  ASSERT_TRUE(none.ok()) << none.status();
  EXPECT_EQ(none->client().jwks(), "");
  const auto stored = LoadStoredProvider(*w_.world.store->View(), "acme", "idp");
  EXPECT_EQ((*stored)->record->signing_key(), "");
}

TEST_P(ProviderRulesTest, ListsInPages) {
  for (const char* id : {"c", "a", "b"}) ASSERT_TRUE(w_.Create(w_.Admin(), ProviderWorld::Definition(), id).ok());
  v1::ListOauthProvidersRequest request;
  request.set_parent("orgs/acme");
  request.set_page_size(2);
  std::string seen;
  do {
    const auto page = w_.rules.ListOauthProviders(w_.world.As("zoe"), request);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const v1::OauthProvider& one : page->oauth_providers()) {
      absl::StrAppend(&seen, one.name().substr(one.name().rfind('/')));
      EXPECT_FALSE(absl::StrContains(one.DebugString(), ProviderWorld::kSecret));
    }
    request.set_page_token(page->next_page_token());
    absl::StrAppend(&seen, ";");
  } while (!request.page_token().empty());
  EXPECT_EQ(seen, "/a/b;/c;");
}

TEST_P(ProviderRulesTest, AnOrganizationHoldsOnlySoMany) {
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(w_.Create(w_.Admin(), ProviderWorld::Definition(), absl::StrCat("p", i)).ok()) << i;
  }
  EXPECT_EQ(DetailOf(w_.Create(w_.Admin(), ProviderWorld::Definition()).status()).reason(), "TOO_MANY");
  ASSERT_TRUE(w_.Delete(w_.Admin(), "orgs/acme/oauthProviders/p7").ok());
  EXPECT_TRUE(w_.Create(w_.Admin(), ProviderWorld::Definition()).ok());
}

// What one call waits for keeps a second of the same organization from waiting as well.
TEST_P(ProviderRulesTest, WaitsAreBounded) {
  w_.http.Hold();
  absl::StatusOr<v1::OauthProvider> created;
  std::thread waiting([&] { created = w_.Create(w_.Admin(), Only(kPublic)); });
  w_.http.AwaitHeld(1);
  const auto refused = w_.Create(w_.Admin(), Only(kPublic), "second");
  EXPECT_EQ(DetailOf(refused.status()).reason(), "SERVER_BUSY") << refused.status();
  EXPECT_TRUE(w_.Create(w_.Admin(), ProviderWorld::Definition(), "third").ok()) << "nothing to wait for";
  w_.http.Release();
  waiting.join();
  EXPECT_TRUE(created.ok()) << created.status();
  EXPECT_TRUE(w_.Create(w_.Admin(), Only(kPublic), "second").ok());
}

INSTANTIATE_TEST_SUITE_P(Engines, ProviderRulesTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return storage::EngineName(info.param); });

}  // namespace
}  // namespace keyferry::server
