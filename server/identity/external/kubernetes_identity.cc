#include "server/identity/external/kubernetes_identity.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/identity/jwt/json_member.h"

namespace keyferry::server {

bool IsKubernetesName(absl::string_view text) {
  return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
  });
}

bool IsKubernetesUid(absl::string_view text) {
  return !text.empty() && text.size() <= 128 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
}

absl::StatusOr<ExternalIdentity> KubernetesIdentityOf(const VerifiedClaims& claims, const std::string& issuer) {
  const auto none = [] { return absl::PermissionDeniedError("its claims are no service account's of Kubernetes"); };
  const Document* const own = Member(claims.all, "kubernetes.io");
  const Document* const account = own == nullptr ? nullptr : Member(*own, "serviceaccount");
  if (account == nullptr) return none();
  ExternalIdentity identity;
  identity.issuer = issuer;
  identity.subject = claims.subject;
  identity.name_space = std::string(MemberText(*own, "namespace"));
  identity.service_account = std::string(MemberText(*account, "name"));
  if (!IsKubernetesName(identity.name_space) || !IsKubernetesName(identity.service_account) ||
      claims.subject != absl::StrCat("system:serviceaccount:", identity.name_space, ":", identity.service_account)) {
    return none();
  }
  const Document* const pod = Member(*own, "pod");
  if (pod == nullptr) return identity;
  identity.pod = std::string(MemberText(*pod, "name"));
  identity.pod_uid = std::string(MemberText(*pod, "uid"));
  if (!IsKubernetesName(identity.pod) || !IsKubernetesUid(identity.pod_uid)) return none();
  return identity;
}

}  // namespace keyferry::server
