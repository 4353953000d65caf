#include "client/cli/workload_grants.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/printer.h"

namespace keyferry::client::cli {
namespace {

constexpr const char* kKubernetesOptions[] = {"--issuer", "--namespace", "--service-account", "--pod", "--pod-uid"};

bool SameIdentity(const v1::WorkloadIdentity& a, const v1::WorkloadIdentity& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

// As the options that name it.
std::string IdentityText(const v1::WorkloadIdentity& identity) {
  if (!identity.has_kubernetes()) return absl::StrCat("--spiffe-id ", identity.spiffe_id());
  const v1::KubernetesIdentity& kubernetes = identity.kubernetes();
  std::string text = absl::StrCat("--issuer ", kubernetes.issuer(), " --namespace ", kubernetes.namespace_(),
                                  " --service-account ", kubernetes.service_account());
  if (!kubernetes.pod().empty()) absl::StrAppend(&text, " --pod ", kubernetes.pod());
  if (!kubernetes.pod_uid().empty()) absl::StrAppend(&text, " --pod-uid ", kubernetes.pod_uid());
  return text;
}

}  // namespace

std::vector<Option> IdentityOptions() {
  return {{"--issuer", ValueKind::kText, "NAME", "Of a Kubernetes identity: its issuer in keyferryd's configuration"},
          {"--namespace", ValueKind::kText, "NAME", "Its namespace"},
          {"--service-account", ValueKind::kText, "NAME", "Its service account"},
          {"--pod", ValueKind::kText, "NAME", "Only the pod of this name"},
          {"--pod-uid", ValueKind::kText, "UID", "Only the pod of this UID"},
          {"--spiffe-id", ValueKind::kText, "ID", "A SPIFFE ID instead, of a client certificate"}};
}

std::vector<std::vector<std::string>> IdentityExclusions() {
  std::vector<std::vector<std::string>> exclusions;
  for (const char* option : kKubernetesOptions) exclusions.push_back({"--spiffe-id", option});
  return exclusions;
}

Outcome ReadIdentity(const Arguments& arguments, std::optional<v1::WorkloadIdentity>* identity) {
  if (arguments.Has("--spiffe-id")) {
    identity->emplace().set_spiffe_id(arguments.Text("--spiffe-id"));
    return std::nullopt;
  }
  const bool any = std::any_of(std::begin(kKubernetesOptions), std::end(kKubernetesOptions),
                               [&](const char* option) { return arguments.Has(option); });
  if (!any) return std::nullopt;
  for (const char* option : {"--issuer", "--namespace", "--service-account"}) {
    if (arguments.Text(option).empty()) {
      return UsageFailure(
          absl::StrCat("a Kubernetes identity needs ", option, ": give --issuer, --namespace and --service-account"));
    }
  }
  v1::KubernetesIdentity& kubernetes = *identity->emplace().mutable_kubernetes();
  kubernetes.set_issuer(arguments.Text("--issuer"));
  kubernetes.set_namespace_(arguments.Text("--namespace"));
  kubernetes.set_service_account(arguments.Text("--service-account"));
  kubernetes.set_pod(arguments.Text("--pod"));
  kubernetes.set_pod_uid(arguments.Text("--pod-uid"));
  return std::nullopt;
}

Outcome CheckGranted(const WorkloadGrants& grants, const v1::Workload& current) {
  std::vector<std::string> absent;
  for (const std::string& server : grants.mcp_servers) {
    const auto& granted = current.mcp_servers();
    if (std::find(granted.begin(), granted.end(), server) == granted.end()) absent.push_back(server);
  }
  if (grants.sessions && !current.can_use_sessions()) absent.emplace_back("--can-use-sessions");
  if (grants.identity.has_value()) {
    const auto& known = current.identities();
    const bool found = std::any_of(known.begin(), known.end(), [&](const v1::WorkloadIdentity& identity) {
      return SameIdentity(identity, *grants.identity);
    });
    if (!found) absent.push_back(IdentityText(*grants.identity));
  }
  if (absent.empty()) return std::nullopt;
  std::vector<std::string> granted(current.mcp_servers().begin(), current.mcp_servers().end());
  if (current.can_use_sessions()) granted.emplace_back("--can-use-sessions");
  for (const v1::WorkloadIdentity& identity : current.identities()) granted.push_back(IdentityText(identity));
  return Failure{
      ExitCode::kOther,
      absl::StrCat("not granted, and nothing was changed: ", absl::StrJoin(absent, ", "), "; ", current.name(),
                   granted.empty() ? " has no grants" : " is granted ", PrintableText(absl::StrJoin(granted, ", ")))};
}

void ApplyGrants(const WorkloadGrants& grants, bool grant, const v1::Workload& current,
                 v1::UpdateWorkloadRequest* request) {
  v1::Workload& next = *request->mutable_workload();
  if (!grants.mcp_servers.empty()) {
    std::vector<std::string> granted(current.mcp_servers().begin(), current.mcp_servers().end());
    for (const std::string& server : grants.mcp_servers) {
      granted.erase(std::remove(granted.begin(), granted.end(), server), granted.end());
      if (grant) granted.push_back(server);
    }
    for (const std::string& server : granted) next.add_mcp_servers(server);
    request->mutable_update_mask()->add_paths("mcp_servers");
  }
  if (grants.sessions) {
    next.set_can_use_sessions(grant);
    request->mutable_update_mask()->add_paths("can_use_sessions");
  }
  if (grants.identity.has_value()) {
    for (const v1::WorkloadIdentity& identity : current.identities()) {
      if (!SameIdentity(identity, *grants.identity)) *next.add_identities() = identity;
    }
    if (grant) *next.add_identities() = *grants.identity;
    request->mutable_update_mask()->add_paths("identities");
  }
}

}  // namespace keyferry::client::cli
