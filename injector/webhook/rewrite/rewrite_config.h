#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_REWRITE_CONFIG_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_REWRITE_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/version.h"

namespace keyferry::injector::webhook {

// Requests and limits of what is added to a pod; "" leaves one out.
struct AddedResources {
  std::string cpu_request = "10m";
  std::string cpu_limit = "200m";
  std::string memory_request = "32Mi";
  std::string memory_limit = "64Mi";
};

// What is the same for all pods of a cluster. An annotation of a pod may say otherwise where there is one.
struct RewriteConfig {
  // Of keyferryd, as the pods reach it.
  std::string address = "keyferry.keyferry.svc:7443";
  // Id of the organization; "": only full names of MCP servers can be used.
  std::string org;
  // With keyferry-injector and keyferry-launch; by default of this build's version.
  std::string image = std::string("keyferry/injector:") + client::kClientVersion;
  // Others that a pod may have instead: by its annotation, or from another webhook that puts a mirror's in.
  std::vector<std::string> allowed_images;
  // Always, IfNotPresent or Never; "" is Kubernetes' own choice.
  std::string image_pull_policy;
  // A ConfigMap of each pod's namespace with the certificates to trust; "": those of the image.
  std::string ca_config_map = "keyferry-ca";
  std::string ca_key = "ca.pem";
  // Of the projected token.
  std::string audience = "keyferry";
  int64_t token_seconds = 3600;
  // Of the agent; nullopt leaves it to the cluster, as OpenShift wants it.
  std::optional<int64_t> uid = 65532;
  std::string max_stale = "24h";
  AddedResources resources;
};

// Whether what is added may run that image.
bool IsAllowedImage(const RewriteConfig& config, absl::string_view image);

// Reads YAML; an empty text is the defaults. INVALID_ARGUMENT, "FILE:LINE:COLUMN: problem; what to do", for an unknown
// or repeated key or a wrong value.
absl::StatusOr<RewriteConfig> ParseRewriteConfig(const std::string& text, absl::string_view file_name);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_REWRITE_CONFIG_H_
