#include "server/oauth/providers/provider_record.h"

#include <utility>

#include "server/credentials/record_fields.h"
#include "server/errors.h"
#include "server/oauth/connection_records.h"
#include "server/oauth/protocol/jws.h"
#include "server/oauth/providers/definition.h"
#include "server/status_macros.h"
#include "storage/crypto/signing_key.h"

namespace keyferry::server {
namespace {

constexpr char kCollection[] = "oauthProviders";

absl::Status NotOfAnOrg(absl::string_view field) {
  return InvalidField(field, "providers belong to organizations", "Use `orgs/{org}`.");
}

bool FitsKey(const StoredProvider& stored) {
  const auto key = storage::SigningKey::FromPkcs8(stored.record->signing_key());
  return key.ok() && (*key)->CanSign(SignatureAlgorithmOf(stored.definition->client().signing_algorithm()));
}

}  // namespace

absl::StatusOr<ChildName> ParseProviderName(absl::string_view name, absl::string_view field) {
  ASSIGN_OR_RETURN(ChildName child, ParseChild(name, kCollection, field));
  if (child.parent.kind != ParentName::kOrg) return NotOfAnOrg(field);
  RETURN_IF_ERROR(CheckId(child.id, field));
  return child;
}

absl::StatusOr<std::string> ParseProviderParent(absl::string_view name, absl::string_view field) {
  ASSIGN_OR_RETURN(const ParentName parent, ParseParent(name, field));
  if (parent.kind != ParentName::kOrg) return NotOfAnOrg(field);
  return parent.org;
}

Resource ProviderResource(const std::string& org, std::string name) {
  Resource resource;
  resource.kind = ResourceKind::kOauthProvider;
  resource.org = org;
  resource.name = std::move(name);
  return resource;
}

absl::StatusOr<std::unique_ptr<StoredProvider>> LoadStoredProvider(const storage::StoreView& view,
                                                                   absl::string_view org, absl::string_view id) {
  ASSIGN_OR_RETURN(const auto found, view.Get(ProviderKey(org, id)));
  if (!found.has_value()) return std::unique_ptr<StoredProvider>();
  auto stored = std::make_unique<StoredProvider>();
  stored->revision = found->revision;
  RETURN_IF_ERROR(storage::ParseSecretInto(found->payload, *stored->record));
  if (!stored->definition->ParseFromString(stored->record->definition())) {
    return absl::DataLossError("an OAuth provider's definition does not parse");
  }
  return stored;
}

std::string ProviderEtag(const storage::records::OauthProviderRecord& record) {
  return RecordEtag(record.incarnation(), record.change_count());
}

absl::StatusOr<v1::OauthProvider> ToOauthProvider(absl::string_view org, const StoredProvider& stored,
                                                  const std::string& callback_url) {
  const storage::records::OauthProviderRecord& record = *stored.record;
  v1::OauthProvider shown = *stored.definition;
  v1::OauthClient* const client = shown.mutable_client();
  client->set_has_client_secret(!client->client_secret().empty());
  storage::WipeString(*client->mutable_client_secret());
  storage::WipeString(*client->mutable_certificate_private_key());
  storage::WipeString(*client->mutable_registration_token());
  shown.set_name(ChildName{{ParentName::kOrg, std::string(org), ""}, record.id()}.Name(kCollection));
  shown.set_callback_url(callback_url);
  shown.set_etag(ProviderEtag(record));
  *shown.mutable_create_time() = TimestampFrom(record.create_time());
  shown.set_creator(record.creator());
  *shown.mutable_update_time() = TimestampFrom(record.update_time());
  shown.set_updater(record.updater());
  if (!record.signing_key().empty()) {
    auto jwks = PublicJwks(record.signing_key(), client->signing_algorithm());
    if (!jwks.ok()) return absl::DataLossError("an OAuth provider's signing key does not parse");
    client->set_jwks(*std::move(jwks));
  }
  return shown;
}

absl::Status UpdateSigningKey(StoredProvider* stored) {
  if (!NeedsSigningKey(*stored->definition)) {
    storage::WipeString(*stored->record->mutable_signing_key());
    return absl::OkStatus();
  }
  if (FitsKey(*stored)) return absl::OkStatus();
  const storage::SecretBytes key = GenerateSigningKey(stored->definition->client().signing_algorithm());
  if (key.empty()) return absl::InternalError("no signing key could be made");
  storage::WipeString(*stored->record->mutable_signing_key());
  stored->record->set_signing_key(key.Expose().data(), key.size());
  return absl::OkStatus();
}

}  // namespace keyferry::server
