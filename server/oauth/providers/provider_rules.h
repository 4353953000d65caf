#ifndef KEYFERRY_SERVER_OAUTH_PROVIDERS_PROVIDER_RULES_H_
#define KEYFERRY_SERVER_OAUTH_PROVIDERS_PROVIDER_RULES_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/credentials/parent_counts.h"
#include "server/http/http_client.h"
#include "server/identity/caller.h"
#include "server/oauth/connection_refresher.h"
#include "server/oauth/protocol/token_client.h"
#include "server/oauth/providers/awaiting.h"
#include "server/oauth/providers/provider_record.h"
#include "server/pagination.h"
#include "server/processes/process_table.h"
#include "storage/store.h"

namespace keyferry::server {

using Clock = std::function<absl::Time()>;

// The rules of OauthProviderService (keyferry/v1/oauth_providers.proto says what each method answers). Thread-safe.
//
// Every method asks Authorize before it says whether anything exists. Secrets are in the requests of Create and Update,
// which are the RPC layer's to wipe, in sealed records, and for moments in messages that wipe themselves; in no answer.
class OauthProviderRules {
 public:
  struct Options {
    // https, without a path: where browsers reach this server; "" if they do not.
    std::string public_url;
    // For what a call asks of a provider, each time that it asks.
    absl::Duration network_timeout = absl::Seconds(10);
    // How many calls may wait for providers at a time.
    int max_waiting = 16;
    int max_waiting_per_org = 4;
  };
  // All pointers must outlive this. `changed` is told of each connection that goes with its provider.
  OauthProviderRules(storage::Store* store, Clock clock, const PageTokens* pages, HttpClient* http, TokenClient* tokens,
                     ProcessTable* processes, std::function<void(const ConnectionKey&)> changed, Options options);

  // These wait for a synced commit; Create and Update perhaps for the provider before.
  absl::StatusOr<v1::OauthProvider> CreateOauthProvider(const Caller& caller,
                                                        const v1::CreateOauthProviderRequest& request);
  absl::StatusOr<v1::OauthProvider> UpdateOauthProvider(const Caller& caller,
                                                        const v1::UpdateOauthProviderRequest& request);
  absl::StatusOr<v1::DeleteOauthProviderResponse> DeleteOauthProvider(const Caller& caller,
                                                                      const v1::DeleteOauthProviderRequest& request);
  // Waits for the provider.
  absl::StatusOr<v1::CheckOauthProviderResponse> CheckOauthProvider(const Caller& caller,
                                                                    const v1::CheckOauthProviderRequest& request);

  // These only read.
  absl::StatusOr<v1::OauthProvider> GetOauthProvider(const Caller& caller,
                                                     const v1::GetOauthProviderRequest& request) const;
  absl::StatusOr<v1::ListOauthProvidersResponse> ListOauthProviders(const Caller& caller,
                                                                    const v1::ListOauthProvidersRequest& request) const;

 private:
  // The stored provider; null if there is none that may be used.
  static absl::StatusOr<std::unique_ptr<StoredProvider>> Find(const storage::StoreView& view, const ChildName& name);
  // That the id is free. What is left of a provider that was deleted under it is removed.
  absl::Status RequireAbsent(const ChildName& name);
  // The redirect URI of a provider, "" if browsers do not reach this server.
  absl::StatusOr<std::string> CallbackUrl(const storage::StoreView& view, const std::string& org,
                                          const std::string& id) const;
  // The public form, as everybody is shown it.
  absl::StatusOr<v1::OauthProvider> Show(const storage::StoreView& view, const std::string& org,
                                         const StoredProvider& stored) const;
  // Everything that the provider itself has a say in, and the key.
  absl::Status SetUp(const std::string& org, bool registers, StoredProvider* stored);
  absl::Status UpdateOnce(const Caller& caller, const ChildName& name, const v1::UpdateOauthProviderRequest& request,
                          v1::OauthProvider* updated);
  absl::Status MarkOnce(const Caller& caller, const ChildName& name, const v1::DeleteOauthProviderRequest& request,
                        v1::DeleteOauthProviderResponse* affected);

  storage::Store* const store_;
  const Clock clock_;
  const PageTokens* const pages_;
  HttpClient* const http_;
  TokenClient* const tokens_;
  ProcessTable* const processes_;
  const std::function<void(const ConnectionKey&)> changed_;
  const Options options_;
  ParentCounts counts_;
  WaitingPlaces waiting_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROVIDERS_PROVIDER_RULES_H_
