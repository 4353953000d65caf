#include "server/identity/external_identity.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "storage/crypto/sha256.h"

namespace keyferry::server {

using storage::records::WorkloadIdentityRecord;

std::string IdentityId(const WorkloadIdentityRecord& granted) {
  std::string text;
  for (const std::string* field : {&granted.issuer(), &granted.namespace_(), &granted.service_account(), &granted.pod(),
                                   &granted.pod_uid(), &granted.spiffe_id()}) {
    absl::StrAppend(&text, field->size(), ":", *field);
  }
  return absl::BytesToHexString(storage::View(storage::Sha256({text})));
}

std::vector<WorkloadIdentityRecord> GrantsThatFit(const ExternalIdentity& identity) {
  WorkloadIdentityRecord whole;
  if (!identity.spiffe_id.empty()) {
    whole.set_spiffe_id(identity.spiffe_id);
    return {whole};
  }
  whole.set_issuer(identity.issuer);
  whole.set_namespace_(identity.name_space);
  whole.set_service_account(identity.service_account);
  std::vector<WorkloadIdentityRecord> fit;
  const auto add = [&](const std::string& pod, const std::string& pod_uid) {
    fit.push_back(whole);
    fit.back().set_pod(pod);
    fit.back().set_pod_uid(pod_uid);
  };
  if (!identity.pod_uid.empty()) {
    if (!identity.pod.empty()) add(identity.pod, identity.pod_uid);
    add("", identity.pod_uid);
  }
  if (!identity.pod.empty()) add(identity.pod, "");
  add("", "");
  return fit;
}

}  // namespace keyferry::server
