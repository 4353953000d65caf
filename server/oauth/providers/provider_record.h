#ifndef KEYFERRY_SERVER_OAUTH_PROVIDERS_PROVIDER_RECORD_H_
#define KEYFERRY_SERVER_OAUTH_PROVIDERS_PROVIDER_RECORD_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/access/access.h"
#include "server/names.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"
#include "storage/store.h"

namespace keyferry::server {

// `orgs/{org}/oauthProviders/{provider}`. INVALID_ARGUMENT naming `field` for anything else.
absl::StatusOr<ChildName> ParseProviderName(absl::string_view name, absl::string_view field);
// The id of the organization `orgs/{org}`.
absl::StatusOr<std::string> ParseProviderParent(absl::string_view name, absl::string_view field);

// What the access decision is asked about; `name` is the provider's, or the organization's for a list.
Resource ProviderResource(const std::string& org, std::string name);

// One stored provider with its secrets. Wipes itself.
struct StoredProvider {
  storage::Wiped<storage::records::OauthProviderRecord> record;
  storage::Wiped<v1::OauthProvider> definition;
  storage::Revision revision = 0;
};

// Null if there is none. One that is being deleted is found as well: `record->deleting()`. Errors are the store's.
absl::StatusOr<std::unique_ptr<StoredProvider>> LoadStoredProvider(const storage::StoreView& view,
                                                                   absl::string_view org, absl::string_view id);

std::string ProviderEtag(const storage::records::OauthProviderRecord& record);

// The public form, without secrets.
absl::StatusOr<v1::OauthProvider> ToOauthProvider(absl::string_view org, const StoredProvider& stored,
                                                  const std::string& callback_url);

// Sees to it that a provider which signs has a key of the right kind, and another none.
absl::Status UpdateSigningKey(StoredProvider* stored);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROVIDERS_PROVIDER_RECORD_H_
