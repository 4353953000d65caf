// AdmissionReviews: what is answered is a review; a patch applies, leads to a pod that is left alone the next time, and
// gives the identity to the agent alone.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "injector/webhook/rewrite/admission_review.h"
#include "injector/webhook/rewrite/bounded_json.h"

namespace {

using keyferry::injector::webhook::AnswerReview;
using keyferry::injector::webhook::AskedServer;
using keyferry::injector::webhook::Json;
using keyferry::injector::webhook::LaunchDefinition;
using keyferry::injector::webhook::ReviewServices;
using keyferry::injector::webhook::RewriteConfig;

void CheckMounts(const Json& pod) {
  for (const char* const list : {"initContainers", "containers"}) {
    if (!pod["spec"].contains(list) || !pod["spec"][list].is_array()) continue;
    for (const Json& container : pod["spec"][list]) {
      if (container["name"] == "keyferry-agent" || !container.contains("volumeMounts")) continue;
      for (const Json& mount : container["volumeMounts"]) {
        if (mount.value("name", Json()) == "keyferry-identity") std::abort();
      }
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  RewriteConfig config;
  config.org = "acme";
  ReviewServices services;
  services.definitions = [](const std::vector<AskedServer>& servers) {
    std::vector<absl::StatusOr<LaunchDefinition>> definitions;
    for (const AskedServer& server : servers) definitions.push_back(LaunchDefinition{server.mcp_server, {"$(X)"}});
    return definitions;
  };
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto outcome = AnswerReview(text, config, services);
  if (!outcome.ok()) return 0;
  const Json response = Json::parse(outcome->response)["response"];
  if (!response.contains("patch")) return 0;
  std::string patch;
  if (!response["allowed"].get<bool>() || !absl::Base64Unescape(response["patch"].get<std::string>(), &patch)) {
    std::abort();
  }
  Json review = Json::parse(text.begin(), text.end());
  Json& pod = review["request"]["object"];
  pod = pod.patch(Json::parse(patch));
  CheckMounts(pod);
  const auto again = AnswerReview(review.dump(), config, services);
  if (!again.ok() || again->kind != keyferry::injector::webhook::ReviewOutcome::kUntouched) std::abort();
  return 0;
}
