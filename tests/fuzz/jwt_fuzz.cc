// The token of an external issuer that an attacker presents: no key that did not sign it verifies it, and claims that
// pass say what was asked for.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/identity/jwt/jwt.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyferry::server;
  static const auto* const keys = new std::unique_ptr<const JwkSet>(
      *JwkSet::Parse(R"({"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},)"
                     R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
                     R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]})"));
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto jws = ParseJws(text);
  if (jws.ok()) {
    if (!LooksLikeJwt(text)) std::abort();
    // The signature is the last part; whoever changes what is signed cannot make one.
    const auto key = VerifyJws(*jws, {JwtAlgorithm::kEdDsa, JwtAlgorithm::kEs256}, **keys);
    if (key.ok() && jws->payload != "Example of Ed25519 signing" && jws->payload.find("joe") == std::string::npos) {
      std::abort();
    }
    (void)UnverifiedIssuer(*jws);
  }
  const std::string payload = jws.ok() ? jws->payload : std::string(text);
  const auto claims = CheckClaims(payload, {"joe", "keyferry"}, absl::FromUnixSeconds(1300819300));
  if (claims.ok() && (claims->subject.empty() || claims->expire_time < absl::FromUnixSeconds(1300819240))) std::abort();
  return 0;
}
