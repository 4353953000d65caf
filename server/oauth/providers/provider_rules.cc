#include "server/oauth/providers/provider_rules.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/access/access.h"
#include "server/audit/call_record.h"
#include "server/credentials/record_fields.h"
#include "server/errors.h"
#include "server/oauth/callback_address.h"
#include "server/oauth/connection_records.h"
#include "server/oauth/providers/client_fields.h"
#include "server/oauth/providers/definition.h"
#include "server/oauth/providers/endpoint_moves.h"
#include "server/oauth/providers/provider_check.h"
#include "server/oauth/providers/provider_deletion.h"
#include "server/oauth/providers/provider_setup.h"
#include "server/oauth/providers/update_mask.h"
#include "server/status_macros.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::StoreView;
using storage::Table;
using storage::Wiped;

constexpr int kMaxProvidersPerOrg = 200;
constexpr int kMaxAttempts = 100;

bool IsLostRace(const absl::Status& status) {
  v1::ErrorDetail detail;
  return absl::IsAborted(status) && !GetDetail(status, &detail);
}

std::string OrgName(const std::string& org) { return absl::StrCat("orgs/", org); }

// Puts the provider's definition and key if the record still has its revision; 0: if there is none.
storage::Mutation PutProvider(const std::string& org, StoredProvider* stored) {
  NormalizeDefinition(&*stored->definition);
  stored->definition->SerializeToString(stored->record->mutable_definition());
  storage::Mutation mutation;
  mutation.Put(ProviderKey(org, stored->record->id()), storage::SerializeSecret(*stored->record),
               static_cast<uint64_t>(stored->record->change_count()), stored->revision);
  return mutation;
}

}  // namespace

OauthProviderRules::OauthProviderRules(storage::Store* store, Clock clock, const PageTokens* pages, HttpClient* http,
                                       TokenClient* tokens, ProcessTable* processes,
                                       std::function<void(const ConnectionKey&)> changed, Options options)
    : store_(store),
      clock_(std::move(clock)),
      pages_(pages),
      http_(http),
      tokens_(tokens),
      processes_(processes),
      changed_(std::move(changed)),
      options_(std::move(options)),
      counts_(store, Table::kOauthProvider, kMaxProvidersPerOrg, "OAuth providers"),
      waiting_(options_.max_waiting, options_.max_waiting_per_org) {}

absl::StatusOr<std::unique_ptr<StoredProvider>> OauthProviderRules::Find(const StoreView& view, const ChildName& name) {
  ASSIGN_OR_RETURN(std::unique_ptr<StoredProvider> stored, LoadStoredProvider(view, name.parent.org, name.id));
  if (stored != nullptr && stored->record->deleting()) stored.reset();
  return stored;
}

absl::StatusOr<std::string> OauthProviderRules::CallbackUrl(const StoreView& view, const std::string& org,
                                                            const std::string& id) const {
  return RedirectUriOf(view, options_.public_url, org, id);
}

absl::StatusOr<v1::OauthProvider> OauthProviderRules::Show(const StoreView& view, const std::string& org,
                                                           const StoredProvider& stored) const {
  ASSIGN_OR_RETURN(const std::string callback_url, CallbackUrl(view, org, stored.record->id()));
  return ToOauthProvider(org, stored, callback_url);
}

absl::Status OauthProviderRules::RequireAbsent(const ChildName& name) {
  ASSIGN_OR_RETURN(const auto found, LoadStoredProvider(*store_->View(), name.parent.org, name.id));
  if (found == nullptr) return absl::OkStatus();
  if (!found->record->deleting()) return AlreadyExists(name.Name("oauthProviders"));
  return FinishDeletion(store_, name.parent.org, name.id, clock_(), changed_);
}

absl::Status OauthProviderRules::SetUp(const std::string& org, bool registers, StoredProvider* stored) {
  v1::OauthProvider* const definition = &*stored->definition;
  const bool discovers = NeedsDiscovery(*definition);
  std::unique_ptr<WaitingPlaces::Place> place;
  if (discovers || registers) {
    ASSIGN_OR_RETURN(place, waiting_.Take(org));
  }
  if (discovers) {
    RETURN_IF_ERROR(DiscoverInto(http_, options_.network_timeout, definition));
    RETURN_IF_ERROR(CheckDefinition(*definition));
  }
  const bool registration_is_open = definition->client().register_dynamically();
  RETURN_IF_ERROR(CheckComplete(*definition, /*before_registration=*/registration_is_open));
  RETURN_IF_ERROR(UpdateSigningKey(stored));
  if (!registers) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string callback_url, CallbackUrl(*store_->View(), org, stored->record->id()));
  if (callback_url.empty()) {
    return InvalidField("oauth_provider.client.register_dynamically", "this server has no address for browsers",
                        "Whoever runs keyferryd sets http.listen in its configuration.");
  }
  std::string jwks;
  if (!stored->record->signing_key().empty()) {
    ASSIGN_OR_RETURN(const v1::OauthProvider shown, ToOauthProvider(org, *stored, callback_url));
    jwks = shown.client().jwks();
  }
  RETURN_IF_ERROR(RegisterInto(http_, options_.network_timeout, callback_url, jwks, definition));
  RETURN_IF_ERROR(UpdateSigningKey(stored));
  return CheckComplete(*definition, /*before_registration=*/false);
}

absl::StatusOr<v1::OauthProvider> OauthProviderRules::CreateOauthProvider(
    const Caller& caller, const v1::CreateOauthProviderRequest& request) {
  ASSIGN_OR_RETURN(const std::string org, ParseProviderParent(request.parent(), "parent"));
  RETURN_IF_ERROR(CheckId(request.oauth_provider_id(), "oauth_provider_id"));
  const ChildName name = {{ParentName::kOrg, org, ""}, request.oauth_provider_id()};
  const std::string full_name = name.Name("oauthProviders");
  RETURN_IF_ERROR(CheckDefinition(request.oauth_provider()));
  RETURN_IF_ERROR(Authorize(caller, Action::kCreate, ProviderResource(org, full_name)));
  NoteResource(caller, full_name);
  RETURN_IF_ERROR(FromStore(RequireAbsent(name), full_name));

  StoredProvider stored;
  *stored.definition = request.oauth_provider();
  if (stored.definition->grant_type() == v1::OAUTH_GRANT_TYPE_UNSPECIFIED) {
    stored.definition->set_grant_type(v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE);
  }
  const int64_t now = absl::ToUnixNanos(clock_());
  stored.record->set_id(name.id);
  stored.record->set_create_time(now);
  stored.record->set_creator(caller.Name());
  stored.record->set_update_time(now);
  stored.record->set_updater(caller.Name());
  stored.record->set_incarnation(NewIncarnation());
  stored.record->set_change_count(1);
  // Before anything is asked of the provider: a client that is registered for nothing stays there.
  if (!request.validate_only()) RETURN_IF_ERROR(counts_.Take(org, /*parent=*/"", OrgName(org)));
  const bool registers = request.oauth_provider().client().register_dynamically() && !request.validate_only();
  absl::Status status = SetUp(org, registers, &stored);
  if (status.ok() && !request.validate_only()) {
    status = CommitAudited(store_, caller, PutProvider(org, &stored)).status();
  }
  if (!status.ok() && !request.validate_only()) counts_.GiveBack(org, /*parent=*/"");
  if (IsLostRace(status)) return AlreadyExists(full_name);
  RETURN_IF_ERROR(FromStore(status, full_name));
  auto shown = Show(*store_->View(), org, stored);
  if (!shown.ok()) return FromStore(shown.status(), full_name);
  if (request.validate_only()) {
    // There is nothing to come back to, and the key is thrown away.
    shown->clear_etag();
    shown->mutable_client()->clear_jwks();
  }
  return shown;
}

absl::StatusOr<v1::OauthProvider> OauthProviderRules::UpdateOauthProvider(
    const Caller& caller, const v1::UpdateOauthProviderRequest& request) {
  const std::string& full_name = request.oauth_provider().name();
  ASSIGN_OR_RETURN(const ChildName name, ParseProviderName(full_name, "oauth_provider.name"));
  {
    // What is wrong with the request alone, whatever is stored.
    Wiped<v1::OauthProvider> unused;
    RETURN_IF_ERROR(ApplyUpdateMask(request.update_mask(), request.oauth_provider(), &*unused));
    RETURN_IF_ERROR(CheckRegistersOnlyAtCreation(request.oauth_provider()));
  }
  RETURN_IF_ERROR(Authorize(caller, Action::kUpdate, ProviderResource(name.parent.org, full_name)));
  v1::OauthProvider updated;
  absl::Status status = UpdateOnce(caller, name, request, &updated);
  for (int i = 0; i < kMaxAttempts && IsLostRace(status); ++i) status = UpdateOnce(caller, name, request, &updated);
  RETURN_IF_ERROR(FromStore(status, full_name));
  return updated;
}

absl::Status OauthProviderRules::UpdateOnce(const Caller& caller, const ChildName& name,
                                            const v1::UpdateOauthProviderRequest& request, v1::OauthProvider* updated) {
  const std::string& org = name.parent.org;
  const std::unique_ptr<StoreView> view = store_->View();
  ASSIGN_OR_RETURN(const std::unique_ptr<StoredProvider> stored, Find(*view, name));
  if (stored == nullptr) return NotFound(name.Name("oauthProviders"));
  const std::string& etag = request.oauth_provider().etag();
  if (!etag.empty() && etag != ProviderEtag(*stored->record)) return StaleEtag(name.Name("oauthProviders"));
  const Wiped<v1::OauthProvider> before(*stored->definition);
  RETURN_IF_ERROR(ApplyUpdateMask(request.update_mask(), request.oauth_provider(), &*stored->definition));
  RETURN_IF_ERROR(CheckDefinition(*stored->definition));
  RETURN_IF_ERROR(SetUp(org, /*registers=*/false, stored.get()));
  bool moved = false;
  RETURN_IF_ERROR(ApplyMove(*before, request, stored.get(), &moved));
  int outdated = 0;
  if (moved) {
    ASSIGN_OR_RETURN(outdated, CountOutdated(*view, org, name.id, stored->record->endpoint_epoch()));
  }
  stored->record->set_change_count(stored->record->change_count() + 1);
  // Times never go backwards within a record, whatever the clock does.
  stored->record->set_update_time(std::max(absl::ToUnixNanos(clock_()), stored->record->update_time()));
  stored->record->set_updater(caller.Name());
  if (!request.validate_only()) {
    storage::Mutation mutation = PutProvider(org, stored.get());
    RETURN_IF_ERROR(CommitAudited(store_, caller, std::move(mutation)).status());
  }
  ASSIGN_OR_RETURN(*updated, Show(*store_->View(), org, *stored));
  updated->set_outdated_connection_count(outdated);
  if (!request.validate_only()) return absl::OkStatus();
  // There is no such state to come back to, and a key that was made is thrown away.
  updated->clear_etag();
  if (moved) updated->mutable_client()->clear_jwks();
  return absl::OkStatus();
}

absl::StatusOr<v1::DeleteOauthProviderResponse> OauthProviderRules::DeleteOauthProvider(
    const Caller& caller, const v1::DeleteOauthProviderRequest& request) {
  ASSIGN_OR_RETURN(const ChildName name, ParseProviderName(request.name(), "name"));
  const std::string& org = name.parent.org;
  RETURN_IF_ERROR(Authorize(caller, Action::kDelete, ProviderResource(org, request.name())));
  v1::DeleteOauthProviderResponse affected;
  absl::Status status = MarkOnce(caller, name, request, &affected);
  for (int i = 0; i < kMaxAttempts && IsLostRace(status); ++i) status = MarkOnce(caller, name, request, &affected);
  RETURN_IF_ERROR(FromStore(status, request.name()));
  if (request.validate_only()) return affected;
  RETURN_IF_ERROR(FromStore(FinishDeletion(store_, org, name.id, clock_(), changed_), request.name()));
  counts_.GiveBack(org, /*parent=*/"");
  return affected;
}

absl::Status OauthProviderRules::MarkOnce(const Caller& caller, const ChildName& name,
                                          const v1::DeleteOauthProviderRequest& request,
                                          v1::DeleteOauthProviderResponse* affected) {
  const std::string& org = name.parent.org;
  const std::unique_ptr<StoreView> view = store_->View();
  ASSIGN_OR_RETURN(const std::unique_ptr<StoredProvider> stored, Find(*view, name));
  if (stored == nullptr) return NotFound(request.name());
  if (!request.etag().empty() && request.etag() != ProviderEtag(*stored->record)) return StaleEtag(request.name());
  ASSIGN_OR_RETURN(*affected, WhoIsAffected(*view, org, name.id, processes_, clock_()));
  if (request.validate_only()) return absl::OkStatus();
  stored->record->set_deleting(true);
  stored->record->set_change_count(stored->record->change_count() + 1);
  return CommitAudited(store_, caller, PutProvider(org, stored.get())).status();
}

absl::StatusOr<v1::CheckOauthProviderResponse> OauthProviderRules::CheckOauthProvider(
    const Caller& caller, const v1::CheckOauthProviderRequest& request) {
  ASSIGN_OR_RETURN(const ChildName name, ParseProviderName(request.name(), "name"));
  // Its requests carry the client's secret, so that seeing the provider is not enough.
  RETURN_IF_ERROR(Authorize(caller, Action::kUpdate, ProviderResource(name.parent.org, request.name())));
  std::shared_ptr<const ProviderDefinition> definition;
  absl::StatusOr<std::string> callback_url;
  {
    const std::unique_ptr<StoreView> view = store_->View();
    const auto stored = Find(*view, name);
    if (!stored.ok()) return FromStore(stored.status(), request.name());
    if (*stored == nullptr) return NotFound(request.name());
    auto parsed = DefinitionOf(*(*stored)->record);
    if (!parsed.ok()) return FromStore(parsed.status(), request.name());
    definition = *std::move(parsed);
    callback_url = CallbackUrl(*view, name.parent.org, name.id);
    if (!callback_url.ok()) return FromStore(callback_url.status(), request.name());
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<WaitingPlaces::Place> place, waiting_.Take(name.parent.org));
  return CheckProvider({http_, tokens_, *callback_url, clock_(), options_.network_timeout}, definition);
}

absl::StatusOr<v1::OauthProvider> OauthProviderRules::GetOauthProvider(
    const Caller& caller, const v1::GetOauthProviderRequest& request) const {
  ASSIGN_OR_RETURN(const ChildName name, ParseProviderName(request.name(), "name"));
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, ProviderResource(name.parent.org, request.name())));
  const std::unique_ptr<StoreView> view = store_->View();
  const auto stored = Find(*view, name);
  if (!stored.ok()) return FromStore(stored.status(), request.name());
  if (*stored == nullptr) return NotFound(request.name());
  auto shown = Show(*view, name.parent.org, **stored);
  if (!shown.ok()) return FromStore(shown.status(), request.name());
  return shown;
}

absl::StatusOr<v1::ListOauthProvidersResponse> OauthProviderRules::ListOauthProviders(
    const Caller& caller, const v1::ListOauthProvidersRequest& request) const {
  ASSIGN_OR_RETURN(const std::string org, ParseProviderParent(request.parent(), "parent"));
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, ProviderResource(org, request.parent())));
  const std::unique_ptr<StoreView> view = store_->View();
  std::vector<std::string> ids;
  absl::Status decoded;
  const absl::Status scanned = view->Scan(Table::kOauthProvider, org, "", [&](storage::Record stored) {
    Wiped<records::OauthProviderRecord> record;
    decoded = storage::ParseSecretInto(stored.payload, *record);
    if (decoded.ok() && !record->deleting()) ids.push_back(record->id());
    return decoded.ok();
  });
  RETURN_IF_ERROR(FromStore(scanned, request.parent()));
  RETURN_IF_ERROR(FromStore(decoded, request.parent()));
  ASSIGN_OR_RETURN(const IdPage page, MakePage(*pages_, caller, "ListOauthProviders", request.parent(),
                                               request.page_size(), request.page_token(), std::move(ids)));
  v1::ListOauthProvidersResponse response;
  for (const std::string& id : page.ids) {
    const auto stored = Find(*view, {{ParentName::kOrg, org, ""}, id});
    if (!stored.ok()) return FromStore(stored.status(), request.parent());
    if (*stored == nullptr) continue;
    auto shown = Show(*view, org, **stored);
    if (!shown.ok()) return FromStore(shown.status(), request.parent());
    *response.add_oauth_providers() = *std::move(shown);
  }
  response.set_next_page_token(page.next_page_token);
  return response;
}

}  // namespace keyferry::server
