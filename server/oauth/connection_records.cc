#include "server/oauth/connection_records.h"

#include <algorithm>
#include <utility>

#include "google/protobuf/util/time_util.h"
#include "keyferry/v1/connections.pb.h"
#include "server/status_macros.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

constexpr absl::Duration kMaxMargin = absl::Minutes(15);
constexpr int kMarginDivisor = 5;

absl::Duration MarginOf(const v1::OauthProvider& provider, absl::Duration lifetime) {
  const absl::Duration usual = std::min(kMaxMargin, lifetime / kMarginDivisor);
  if (!provider.refresh().has_margin()) return usual;
  const absl::Duration stated =
      absl::Nanoseconds(google::protobuf::util::TimeUtil::DurationToNanoseconds(provider.refresh().margin()));
  // A margin of the whole lifetime would refresh at every look.
  return std::min(stated, lifetime / 2);
}

}  // namespace

ProviderDefinition::~ProviderDefinition() { storage::WipeMessage(provider); }

storage::RecordKey ProviderKey(absl::string_view org, absl::string_view provider) {
  return {Table::kOauthProvider, std::string(org), "", std::string(provider)};
}

storage::RecordKey ConnectionRecordKey(Table table, const ConnectionKey& key) {
  return {table, key.org, key.parent, key.provider};
}

absl::StatusOr<std::shared_ptr<const ProviderDefinition>> ReadProvider(const storage::StoreView& view,
                                                                       absl::string_view org,
                                                                       absl::string_view provider) {
  ASSIGN_OR_RETURN(const auto found, view.Get(ProviderKey(org, provider)));
  if (!found.has_value()) return std::shared_ptr<const ProviderDefinition>();
  storage::Wiped<records::OauthProviderRecord> record;
  RETURN_IF_ERROR(storage::ParseSecretInto(found->payload, *record));
  if (record->deleting()) return std::shared_ptr<const ProviderDefinition>();
  return DefinitionOf(*record);
}

absl::StatusOr<std::shared_ptr<const ProviderDefinition>> DefinitionOf(const records::OauthProviderRecord& record) {
  auto definition = std::make_shared<ProviderDefinition>();
  if (!definition->provider.ParseFromString(record.definition())) {
    return absl::DataLossError("an OAuth provider's definition does not parse");
  }
  definition->signing_key = storage::SecretBytes::CopyOf(record.signing_key());
  return std::shared_ptr<const ProviderDefinition>(std::move(definition));
}

absl::Time RefreshTime(const v1::OauthProvider& provider, absl::Time now, absl::Duration lifetime, double random) {
  if (lifetime == absl::InfiniteDuration()) return absl::InfiniteFuture();
  return now + lifetime - MarginOf(provider, lifetime) * (1 + random / 2);
}

void ApplyGrant(const v1::OauthProvider& provider, const TokenGrant& grant, absl::Time now, double random,
                records::ConnectionRecord* connection, records::ConnectionTokenRecord* token) {
  const bool timed = grant.lifetime != absl::InfiniteDuration();
  const int64_t expire_time = timed ? absl::ToUnixNanos(now + grant.lifetime) : 0;
  storage::WipeString(*token->mutable_access_token());
  token->set_access_token(grant.access_token.Expose().data(), grant.access_token.size());
  if (!grant.refresh_token.empty()) {
    storage::WipeString(*token->mutable_refresh_token());
    token->set_refresh_token(grant.refresh_token.Expose().data(), grant.refresh_token.size());
  }
  token->set_expire_time(expire_time);
  token->set_version(token->version() + 1);

  connection->set_state(v1::CONNECTION_STATE_CONNECTED);
  connection->set_version(token->version());
  connection->set_expire_time(expire_time);
  connection->set_lifetime(timed ? absl::ToInt64Nanoseconds(grant.lifetime) : 0);
  connection->set_last_refresh_time(absl::ToUnixNanos(now));
  connection->clear_last_error();
  connection->clear_last_error_time();
  connection->clear_failure_count();
  connection->clear_pause_time();
  if (!grant.account.empty()) connection->set_account(grant.account);
  if (!grant.scopes.empty()) {
    connection->mutable_granted_scopes()->Assign(grant.scopes.begin(), grant.scopes.end());
  }
  for (const auto& [name, value] : grant.metadata) {
    auto* const all = connection->mutable_metadata();
    const auto same =
        std::find_if(all->begin(), all->end(), [&name = name](const auto& m) { return m.name() == name; });
    records::NamedValue* const kept = same == all->end() ? all->Add() : &*same;
    kept->set_name(name);
    kept->set_value(value);
  }
  std::sort(connection->mutable_metadata()->begin(), connection->mutable_metadata()->end(),
            [](const auto& a, const auto& b) { return a.name() < b.name(); });
  connection->set_refreshable(CanRefresh(provider, *token));
  // A token that cannot be refreshed is looked at when it ends.
  const absl::Time next = !timed                      ? absl::InfiniteFuture()
                          : connection->refreshable() ? RefreshTime(provider, now, grant.lifetime, random)
                                                      : now + grant.lifetime;
  connection->set_next_attempt_time(next == absl::InfiniteFuture() ? 0 : absl::ToUnixNanos(next));
}

bool CanRefresh(const v1::OauthProvider& provider, const records::ConnectionTokenRecord& token) {
  switch (provider.refresh().method()) {
    case v1::OAUTH_REFRESH_METHOD_NONE:
      return false;
    case v1::OAUTH_REFRESH_METHOD_ACCESS_TOKEN:
      return !token.access_token().empty();
    default:
      break;
  }
  return !token.refresh_token().empty() || (provider.grant_type() != v1::OAUTH_GRANT_TYPE_UNSPECIFIED &&
                                            provider.grant_type() != v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE);
}

}  // namespace keyferry::server
