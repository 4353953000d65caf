#ifndef KEYFERRY_SERVER_IDENTITY_JWT_JWT_ALGORITHM_H_
#define KEYFERRY_SERVER_IDENTITY_JWT_JWT_ALGORITHM_H_

#include <optional>

#include "absl/strings/string_view.h"

namespace keyferry::server {

// The signatures that are verified, all of public keys (RFC 7518, section 3.1; RFC 8037, section 3.1). There is no
// `none`, and no algorithm whose key is a shared secret.
enum class JwtAlgorithm { kRs256, kEs256, kEdDsa };

inline absl::string_view NameOf(JwtAlgorithm algorithm) {
  switch (algorithm) {
    case JwtAlgorithm::kRs256:
      return "RS256";
    case JwtAlgorithm::kEs256:
      return "ES256";
    case JwtAlgorithm::kEdDsa:
      break;
  }
  return "EdDSA";
}

// By its `alg`, in exactly that spelling.
inline std::optional<JwtAlgorithm> JwtAlgorithmOf(absl::string_view name) {
  for (const JwtAlgorithm algorithm : {JwtAlgorithm::kRs256, JwtAlgorithm::kEs256, JwtAlgorithm::kEdDsa}) {
    if (NameOf(algorithm) == name) return algorithm;
  }
  return std::nullopt;
}

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_JWT_JWT_ALGORITHM_H_
