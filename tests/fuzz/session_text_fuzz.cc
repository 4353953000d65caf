// The session token that an attacker presents: what is taken has the one spelling that its payload has, and no key that
// did not sign it verifies it.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/sessions/session_text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyferry::server;
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const std::optional<SessionToken> token = ParseSessionText(text);
  if (!token.has_value()) return 0;
  const std::string again = absl::StrCat("kfs_", absl::WebSafeBase64Escape(token->payload.SerializeAsString()), ".",
                                         absl::WebSafeBase64Escape(token->signature.Expose()));
  if (again != text || size > kMaxSessionTextBytes || !IsSessionId(token->payload.session())) std::abort();
  if (token->IsSignedBy(std::string(32, 'k')) || token->IsSignedBy("")) std::abort();
  return 0;
}
