#ifndef KEYFERRY_SERVER_OAUTH_CALLBACK_ADDRESS_H_
#define KEYFERRY_SERVER_OAUTH_CALLBACK_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/store.h"

namespace keyferry::server {

// Where providers send browsers back to. Each provider has a redirect URI of its own, so that the answer of one
// authorization server is not taken for that of another, also where it sends no `iss` (RFC 9700, section 4.4.2.2).
//
// The address is `{public url}/oauth/callback/{id}`, and the id a keyed hash of the provider's name under its
// organization's key (StoreView::PublicId): it shows neither, is the same on every server of a store and after every
// change of the provider, and known before the provider is made. A provider that is changed, or deleted and made anew
// under the same name, keeps the address even where it then leads to another authorization server: attempts that were
// sent to the former one end, since they hold its etag.

// What comes before the id in the path of a callback.
inline constexpr absl::string_view kCallbackPath = "/oauth/callback/";

// Whether it has the form of an id.
bool IsCallbackId(absl::string_view text);

// Of a provider, whether it is there or not. Errors are the store's; NOT_FOUND if the organization is gone.
absl::StatusOr<std::string> CallbackIdOf(const storage::StoreView& view, absl::string_view org,
                                         absl::string_view provider);

// The redirect URI to the letter (RFC 9700, section 2.1); "" if browsers do not reach this server, which is what an
// empty `public_url` says.
absl::StatusOr<std::string> RedirectUriOf(const storage::StoreView& view, absl::string_view public_url,
                                          absl::string_view org, absl::string_view provider);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CALLBACK_ADDRESS_H_
