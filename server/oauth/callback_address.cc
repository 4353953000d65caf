#include "server/oauth/callback_address.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr size_t kIdChars = 32;
// Registered at providers with what follows from it: never to be changed.
constexpr absl::string_view kPurpose = "oauth callback/";

}  // namespace

bool IsCallbackId(absl::string_view text) {
  return text.size() == kIdChars && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
         });
}

absl::StatusOr<std::string> CallbackIdOf(const storage::StoreView& view, absl::string_view org,
                                         absl::string_view provider) {
  ASSIGN_OR_RETURN(const std::string id, view.PublicId(org, absl::StrCat(kPurpose, provider)));
  return absl::BytesToHexString(id);
}

absl::StatusOr<std::string> RedirectUriOf(const storage::StoreView& view, absl::string_view public_url,
                                          absl::string_view org, absl::string_view provider) {
  if (public_url.empty()) return std::string();
  ASSIGN_OR_RETURN(const std::string id, CallbackIdOf(view, org, provider));
  return absl::StrCat(public_url, kCallbackPath, id);
}

}  // namespace keyferry::server
