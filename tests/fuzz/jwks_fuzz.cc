// What an issuer answers when it is asked for its keys: whatever it is, the set is bounded, and no key of it verifies
// an empty signature.
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "server/identity/jwt/jwk_set.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyferry::server;
  const auto set = JwkSet::Parse(absl::string_view(reinterpret_cast<const char*>(data), size));
  if (!set.ok()) return 0;
  if ((*set)->size() > JwkSet::kMaxKeys) std::abort();
  for (const JwtAlgorithm algorithm : {JwtAlgorithm::kRs256, JwtAlgorithm::kEs256, JwtAlgorithm::kEdDsa}) {
    const VerificationKey* const key = (*set)->Find(algorithm, "");
    if (key == nullptr) continue;
    if (key->algorithm() != algorithm || !(*set)->Contains(key->fingerprint()) || key->Verify("m", "")) std::abort();
  }
  return 0;
}
