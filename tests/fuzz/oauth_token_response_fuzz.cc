// Answers of token endpoints: what is granted can be sent in a header, and what is refused is said in printable words.
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "server/oauth/protocol/token_response.h"

namespace {

bool IsPrintable(absl::string_view text) {
  for (const char c : text) {
    if (c < 0x20 || c > 0x7e) return false;
  }
  return true;
}

}  // namespace

// The first byte chooses the format, the expiry's format and the status.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyferry;
  using namespace keyferry::server;
  if (size == 0) return 0;
  ResponseRules rules;
  rules.response.set_format(static_cast<v1::OauthResponseFormat>(data[0] % 4));
  rules.response.set_expiry_format(static_cast<v1::OauthExpiryFormat>(data[0] / 4 % 7));
  auto* const metadata = rules.response.add_metadata();
  metadata->set_name("kept");
  metadata->set_value("a.0.b");
  HttpResponse response;
  response.status = data[0] / 28 % 2 == 0 ? 200 : 400;
  response.body.assign(reinterpret_cast<const char*>(data + 1), size - 1);
  const TokenResult result = ReadTokenResponse(response, rules, absl::FromUnixSeconds(1'790'000'000), {"secret-1"});
  if (const auto* error = absl::get_if<TokenError>(&result)) {
    if (!IsPrintable(error->message) || !IsPrintable(error->code) || error->code.size() > 64) std::abort();
    if (error->message.find("secret-1") != std::string::npos) std::abort();
    return 0;
  }
  const TokenGrant& grant = absl::get<TokenGrant>(result);
  if (grant.access_token.empty() || !IsPrintable(grant.access_token.Expose())) std::abort();
  if (!IsPrintable(grant.refresh_token.Expose())) std::abort();
  if (grant.lifetime <= absl::ZeroDuration()) std::abort();
  return 0;
}
