#ifndef KEYFERRY_SERVER_IDENTITY_EXTERNAL_IDENTITY_H_
#define KEYFERRY_SERVER_IDENTITY_EXTERNAL_IDENTITY_H_

#include <string>
#include <vector>

#include "storage/records/records.pb.h"

namespace keyferry::server {

// Who somebody is to the platform that runs them, as that has attested. Either a pod of a service account or a SPIFFE
// identity.
struct ExternalIdentity {
  // Name of the issuer in the configuration, or the trust domain.
  std::string issuer;
  // The token's `sub`, or the SPIFFE ID.
  std::string subject;
  // Of Kubernetes. A token that is bound to no pod has no pod.
  std::string name_space;
  std::string service_account;
  std::string pod;
  std::string pod_uid;
  // "" for Kubernetes.
  std::string spiffe_id;
};

// The id in Table::kWorkloadIdentity of what is granted: hex of SHA-256 over the fields, each after its length, so that
// different ones never have the same text.
std::string IdentityId(const storage::records::WorkloadIdentityRecord& granted);

// What may have been granted to the identity, the narrowest first: the pod by its UID before the pod by its name, and
// that before its service account.
std::vector<storage::records::WorkloadIdentityRecord> GrantsThatFit(const ExternalIdentity& identity);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_EXTERNAL_IDENTITY_H_
