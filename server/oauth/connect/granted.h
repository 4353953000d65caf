#ifndef KEYFERRY_SERVER_OAUTH_CONNECT_GRANTED_H_
#define KEYFERRY_SERVER_OAUTH_CONNECT_GRANTED_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/names.h"
#include "server/oauth/protocol/token_client.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

// What a provider granted for one connection, on its way into the store.
struct NewGrant {
  ParentName parent;
  // Id of the provider.
  std::string provider;
  UrlVariables url_variables;
  // Asked for, if not the provider's.
  std::vector<std::string> scopes;
  // Resource name of the principal who started it.
  std::string starter;
};

// A provider as a change depends on it.
struct FoundProvider {
  std::shared_ptr<const ProviderDefinition> definition;
  // Changes with every change of the definition.
  std::string etag;
  storage::Revision revision = 0;
  int64_t endpoint_epoch = 0;
};
// Null definition if there is none. Errors are the store's.
absl::StatusOr<FoundProvider> FindProvider(const storage::StoreView& view, absl::string_view org,
                                           absl::string_view provider);
// Requires that the provider stays as it was found.
void RequireProvider(absl::string_view org, absl::string_view provider, const FoundProvider& found,
                     storage::Mutation* mutation);

// Puts the connection with its tokens, new or in place of the grant that it had, and requires that its team or user is
// there at the commit; NOT_FOUND if not in `view`. An exchange that is under way for the former grant loses its lease.
//
// Of a former grant nothing stays but the version to count on from, and its refresh token where the provider sent none
// and names the same account: another's would bring back that account at the next refresh, and one for endpoints that
// have moved since would be sent to whoever is there now. The former refresh token is
// not revoked: many providers end all grants of the account with it, the new one too.
absl::Status AddGranted(const storage::StoreView& view, const FoundProvider& provider, const NewGrant& grant,
                        const TokenGrant& tokens, absl::Time now, storage::Mutation* mutation,
                        storage::records::ConnectionRecord* connection);

// What a provider's refusal or failure is to the caller of a method: FAILED_PRECONDITION with reason CONNECT_FAILED, or
// UNAVAILABLE with reason PROVIDER_UNAVAILABLE and a retry delay.
absl::Status StatusOf(const TokenError& error, const std::string& connection);
// The same where no answer came.
absl::Status NoAnswer(const std::string& connection);
absl::Status ConnectFailed(const std::string& connection, absl::string_view why, absl::string_view next_step);

// At most `max_bytes` of the text, valid UTF-8 without control characters: what cannot be shown becomes `?`.
std::string ShowableText(absl::string_view text, size_t max_bytes);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CONNECT_GRANTED_H_
