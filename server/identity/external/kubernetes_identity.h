#ifndef KEYFERRY_SERVER_IDENTITY_EXTERNAL_KUBERNETES_IDENTITY_H_
#define KEYFERRY_SERVER_IDENTITY_EXTERNAL_KUBERNETES_IDENTITY_H_

#include <string>

#include "absl/status/statusor.h"
#include "server/identity/external_identity.h"
#include "server/identity/jwt/jwt.h"

namespace keyferry::server {

// Whose token of a service account the verified claims are, from their member `kubernetes.io`; `issuer` is its name in
// the configuration. PERMISSION_DENIED if they are none, or if the subject is another's.
absl::StatusOr<ExternalIdentity> KubernetesIdentityOf(const VerifiedClaims& claims, const std::string& issuer);

// Whether the text may be a namespace, a service account or a pod: 1 to 253 of `a` to `z`, digits, `-` and `.` (RFC
// 1123).
bool IsKubernetesName(absl::string_view text);
// 1 to 128 of letters, digits and `-`.
bool IsKubernetesUid(absl::string_view text);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_EXTERNAL_KUBERNETES_IDENTITY_H_
