#include "server/oauth/providers/testing_providers.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "server/oauth/connection_records.h"
#include "server/oauth/protocol/make_token_client.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

OauthProviderRules::Options OptionsOf() {
  OauthProviderRules::Options options;
  options.public_url = "https://keyferry.test";
  options.network_timeout = absl::Seconds(5);
  options.max_waiting_per_org = 1;
  return options;
}

}  // namespace

ProviderWorld::ProviderWorld(storage::EngineKind engine, MockProviderOptions options)
    : world(engine),
      provider(std::move(options), world.clock()),
      http([this](const HttpRequest& request) {
        HttpResponse response = first == nullptr ? HttpResponse() : first(request);
        return response.status != 0 ? std::move(response) : provider.Handle(request);
      }),
      tokens(MakeTokenClient(&http, world.clock())),
      rules(
          world.store.get(), world.clock(), &world.pages, &http, tokens.get(), &processes,
          [this](const ConnectionKey& key) { gone.push_back(key); }, OptionsOf()) {}

v1::OauthProvider ProviderWorld::Definition(const std::string& edit) {
  v1::OauthProvider definition;
  google::protobuf::TextFormat::Parser parser;
  EXPECT_TRUE(parser.MergeFromString(
      absl::StrCat("grant_type: OAUTH_GRANT_TYPE_AUTHORIZATION_CODE display_name: 'Identity' "
                   "endpoints { authorization_url: 'https://provider.test/authorize' "
                   "token_url: 'https://provider.test/token' revocation_url: 'https://provider.test/revoke' } "
                   "client { client_id: 'client-1' client_secret: '",
                   kSecret, "' } authorization { scopes: 'read' } ", edit),
      &definition))
      << edit;
  return definition;
}

absl::StatusOr<v1::OauthProvider> ProviderWorld::Create(const Caller& caller, const v1::OauthProvider& definition,
                                                        const std::string& id, bool validate_only) {
  v1::CreateOauthProviderRequest request;
  request.set_parent("orgs/acme");
  request.set_oauth_provider_id(id);
  *request.mutable_oauth_provider() = definition;
  request.set_validate_only(validate_only);
  return rules.CreateOauthProvider(caller, request);
}

absl::StatusOr<v1::OauthProvider> ProviderWorld::Get(const Caller& caller, const std::string& name) {
  v1::GetOauthProviderRequest request;
  request.set_name(name);
  return rules.GetOauthProvider(caller, request);
}

absl::StatusOr<v1::OauthProvider> ProviderWorld::Update(const Caller& caller, const std::string& text,
                                                        const std::string& name) {
  v1::UpdateOauthProviderRequest request;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request)) << text;
  request.mutable_oauth_provider()->set_name(name);
  return rules.UpdateOauthProvider(caller, request);
}

absl::StatusOr<v1::DeleteOauthProviderResponse> ProviderWorld::Delete(const Caller& caller, const std::string& name,
                                                                      const std::string& etag, bool validate_only) {
  v1::DeleteOauthProviderRequest request;
  request.set_name(name);
  request.set_etag(etag);
  request.set_validate_only(validate_only);
  return rules.DeleteOauthProvider(caller, request);
}

absl::StatusOr<v1::CheckOauthProviderResponse> ProviderWorld::Check(const Caller& caller, const std::string& name) {
  v1::CheckOauthProviderRequest request;
  request.set_name(name);
  return rules.CheckOauthProvider(caller, request);
}

void ProviderWorld::Connect(const std::string& parent, const std::string& id, const std::string& org) {
  const ConnectionKey key = {org, parent, id};
  records::ConnectionRecord connection;
  connection.set_parent(parent);
  connection.set_id(id);
  connection.set_version(1);
  records::ConnectionTokenRecord token;
  token.set_parent(parent);
  token.set_id(id);
  token.set_version(1);
  token.set_access_token(absl::StrCat(kSecret, "-access-", parent));
  token.set_refresh_token(absl::StrCat(kSecret, "-refresh-", parent));
  storage::Mutation mutation;
  mutation.Put(ConnectionRecordKey(Table::kConnection, key), storage::SerializeSecret(connection), 1, 0);
  mutation.Put(ConnectionRecordKey(Table::kConnectionToken, key), storage::SerializeSecret(token), 1, 0);
  mutation.Put(ConnectionRecordKey(Table::kConnectionLease, key),
               storage::SerializeSecret(records::ConnectionLeaseRecord()), 1, 0);
  const auto committed = world.store->Commit(mutation, storage::Durability::kSynced);
  ASSERT_TRUE(committed.ok()) << committed.status();
}

int ProviderWorld::Count(Table table, const std::string& org) {
  int count = 0;
  const absl::Status scanned = world.store->View()->ScanAll(table, org, [&count](const storage::Record&) {
    ++count;
    return true;
  });
  EXPECT_TRUE(scanned.ok()) << scanned;
  return count;
}

v1::OauthProvider ProviderWorld::Stored(const std::string& id) {
  const auto stored = LoadStoredProvider(*world.store->View(), "acme", id);
  if (!stored.ok() || *stored == nullptr) return v1::OauthProvider();
  return *(*stored)->definition;
}

}  // namespace keyferry::server
