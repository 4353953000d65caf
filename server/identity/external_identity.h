#ifndef KEYFERRY_SERVER_IDENTITY_EXTERNAL_IDENTITY_H_
#define KEYFERRY_SERVER_IDENTITY_EXTERNAL_IDENTITY_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "keyferry/v1/directory.pb.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {

// A person, as the issuer's configuration reads the claims of their ID token.
struct PersonClaims {
  // Ids of the organization and the user.
  std::string org;
  std::string user;
  // Whoever is no user yet is made one.
  bool may_be_created = false;
  // Whoever is bound to nobody yet is bound by this token: nobody but the issuer chooses the id that it names.
  bool may_bind = false;
  // When the token was issued.
  absl::Time issue_time;
  // What the directory must say; unspecified: it is not the claims that say it.
  v1::OrgRole role = v1::ORG_ROLE_UNSPECIFIED;
  // Each team of which the claims say who is in it, with the role there; unspecified: not in it.
  std::vector<std::pair<std::string, v1::TeamRole>> teams;
};

// Who somebody is to the platform that runs them, as that has attested: a pod of a service account, a SPIFFE identity,
// or a person.
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
  // "" for all others.
  std::string spiffe_id;
  // Of a person: `iss` of their token.
  std::string issuer_url = {};
  // Null for all others.
  std::shared_ptr<const PersonClaims> person = nullptr;
};

// The id in Table::kWorkloadIdentity of what is granted: hex of SHA-256 over the fields, each after its length, so that
// different ones never have the same text.
std::string IdentityId(const storage::records::WorkloadIdentityRecord& granted);

// What may have been granted to the identity, the narrowest first: the pod by its UID before the pod by its name, and
// that before its service account.
std::vector<storage::records::WorkloadIdentityRecord> GrantsThatFit(const ExternalIdentity& identity);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_EXTERNAL_IDENTITY_H_
