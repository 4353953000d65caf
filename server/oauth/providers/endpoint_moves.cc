#include "server/oauth/providers/endpoint_moves.h"

#include <algorithm>
#include <map>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "keyferry/v1/connections.pb.h"
#include "keyferry/v1/errors.pb.h"
#include "server/errors.h"
#include "server/status_macros.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;

constexpr absl::string_view kScheme = "https://";
constexpr absl::string_view kUsualPort = ":443";
constexpr char kIssuer[] = "oauth_provider.endpoints.issuer";

// What an endpoint is sent, each besides what the one before it says.
enum class Gets { kNothing, kAccessTokens, kClientSecret, kRefreshTokens };

struct Endpoint {
  const char* field;
  std::string origin;
  Gets gets;
};

// Two definitions whose origins are the same text lead every connection to the same host.
std::string OriginOf(const v1::OauthProvider& provider, absl::string_view url) {
  if (!absl::ConsumePrefix(&url, kScheme)) return std::string(url);
  std::string origin = absl::AsciiStrToLower(url.substr(0, url.find_first_of("/?#")));
  for (const v1::OauthUrlVariable& variable : provider.url_variables()) {
    const std::string placeholder = absl::StrCat("{", variable.name(), "}");
    const std::string means = variable.value().empty()
                                  ? absl::StrCat("{", variable.name(), " ", variable.pattern(), "}")
                                  : absl::AsciiStrToLower(variable.value());
    absl::StrReplaceAll({{placeholder, means}}, &origin);
  }
  if (absl::EndsWith(origin, kUsualPort)) origin.resize(origin.size() - kUsualPort.size());
  return origin;
}

bool SendsSecret(const v1::OauthSecondExchange& second) {
  const auto holds = [](const v1::OauthParameter& one) { return absl::StrContains(one.value(), "{client_secret}"); };
  return std::any_of(second.parameters().begin(), second.parameters().end(), holds) ||
         std::any_of(second.headers().begin(), second.headers().end(), holds);
}

std::vector<Endpoint> EndpointsOf(const v1::OauthProvider& provider) {
  const v1::OauthEndpoints& named = provider.endpoints();
  std::vector<Endpoint> all;
  const auto add = [&](const char* field, const std::string& url, Gets gets) {
    if (!url.empty()) all.push_back({field, OriginOf(provider, url), gets});
  };
  add("oauth_provider.endpoints.token_url", named.token_url(), Gets::kRefreshTokens);
  add("oauth_provider.endpoints.refresh_url", named.refresh_url(), Gets::kRefreshTokens);
  add("oauth_provider.endpoints.revocation_url", named.revocation_url(), Gets::kRefreshTokens);
  add("oauth_provider.endpoints.introspection_url", named.introspection_url(), Gets::kClientSecret);
  add("oauth_provider.endpoints.userinfo_url", named.userinfo_url(), Gets::kAccessTokens);
  const v1::OauthSecondExchange& second = provider.token().second();
  add("oauth_provider.token.second.url", second.url(), SendsSecret(second) ? Gets::kClientSecret : Gets::kAccessTokens);
  return all;
}

bool GivesSecret(const v1::UpdateOauthProviderRequest& given) {
  if (given.oauth_provider().client().client_secret().empty()) return false;
  const auto& paths = given.update_mask().paths();
  return std::any_of(paths.begin(), paths.end(),
                     [](const std::string& path) { return path == "client" || path == "client.client_secret"; });
}

absl::Status SecretRequired(const std::string& field) {
  v1::ErrorDetail detail;
  detail.set_reason("CLIENT_SECRET_REQUIRED");
  detail.set_field(field);
  detail.set_next_step(
      "Send a client secret with the same update, or clear the stored one, by the path `client.client_secret`.");
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   absl::StrCat(field,
                                ": would send the stored client secret to another host, or for another issuer; "
                                "it was given for the one there is"),
                   detail);
}

}  // namespace

std::string MovedEndpoint(const v1::OauthProvider& before, const v1::OauthProvider& after) {
  const std::string& issuer = before.endpoints().issuer();
  if (!issuer.empty() && issuer != after.endpoints().issuer()) return kIssuer;
  std::map<std::string, Gets> known;
  for (const Endpoint& endpoint : EndpointsOf(before)) {
    Gets& gets = known[endpoint.origin];
    gets = std::max(gets, endpoint.gets);
  }
  for (const Endpoint& endpoint : EndpointsOf(after)) {
    const auto found = known.find(endpoint.origin);
    if (found == known.end() || found->second < endpoint.gets) return endpoint.field;
  }
  return "";
}

absl::Status ApplyMove(const v1::OauthProvider& before, const v1::UpdateOauthProviderRequest& given,
                       StoredProvider* stored, bool* moved) {
  const std::string field = MovedEndpoint(before, *stored->definition);
  *moved = !field.empty();
  if (!*moved) return absl::OkStatus();
  // Whoever gives a secret may send it anywhere, also one that they know to be the stored one. How the client
  // authenticates now does not matter: that can be changed back later.
  if (!stored->definition->client().client_secret().empty() && !GivesSecret(given)) return SecretRequired(field);
  stored->record->set_endpoint_epoch(stored->record->endpoint_epoch() + 1);
  // What the old key signs for the new host could be used at the old one.
  storage::WipeString(*stored->record->mutable_signing_key());
  return UpdateSigningKey(stored);
}

absl::StatusOr<int> CountOutdated(const storage::StoreView& view, const std::string& org, const std::string& provider,
                                  int64_t epoch) {
  int count = 0;
  absl::Status decoded;
  RETURN_IF_ERROR(view.ScanAll(storage::Table::kConnection, org, [&](storage::Record stored) {
    storage::Wiped<records::ConnectionRecord> record;
    decoded = storage::ParseSecretInto(stored.payload, *record);
    if (!decoded.ok()) return false;
    if (record->id() == provider && record->endpoint_epoch() != epoch &&
        record->state() != v1::CONNECTION_STATE_CONNECT_NEEDED) {
      ++count;
    }
    return true;
  }));
  RETURN_IF_ERROR(decoded);
  return count;
}

}  // namespace keyferry::server
