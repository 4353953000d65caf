#include "server/oauth/refresh/revocations.h"

#include <string>

#include "absl/strings/escaping.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "storage/crypto/secret_bytes.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;

constexpr size_t kIdBytes = 16;

bool MayRevoke(const records::OauthProviderRecord& provider) {
  storage::Wiped<v1::OauthProvider> definition;
  // What does not parse is the business of the try.
  if (!definition->ParseFromString(provider.definition())) return true;
  return !definition->endpoints().revocation_url().empty();
}

}  // namespace

void AddRevocation(absl::string_view org, const records::OauthProviderRecord& provider,
                   const records::ConnectionRecord& connection, const records::ConnectionTokenRecord& token,
                   absl::Time now, storage::Mutation* mutation) {
  if (token.access_token().empty() && token.refresh_token().empty()) return;
  if (!MayRevoke(provider) || connection.endpoint_epoch() != provider.endpoint_epoch()) return;
  storage::Wiped<records::RevocationRecord> record;
  record->set_id(absl::BytesToHexString(storage::RandomString(kIdBytes)));
  *record->mutable_provider() = provider;
  *record->mutable_url_variables() = connection.url_variables();
  record->set_refresh_token(token.refresh_token());
  record->set_access_token(token.access_token());
  record->set_create_time(absl::ToUnixNanos(now));
  record->set_next_attempt_time(absl::ToUnixNanos(now));
  mutation->Put({storage::Table::kRevocation, std::string(org), "", record->id()}, storage::SerializeSecret(*record),
                /*version=*/1, /*expected=*/0);
}

}  // namespace keyferry::server
