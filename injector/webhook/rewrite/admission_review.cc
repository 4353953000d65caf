#include "injector/webhook/rewrite/admission_review.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "injector/webhook/rewrite/bounded_json.h"
#include "injector/webhook/rewrite/pod_rewrite.h"
#include "injector/webhook/rewrite/pod_update.h"
#include "injector/webhook/rewrite/pod_view.h"
#include "injector/webhook/rewrite/refusal.h"

namespace keyferry::injector::webhook {
namespace {

constexpr char kVersion[] = "admission.k8s.io/v1";
constexpr size_t kLongestUid = 256;
// Kubernetes cuts warnings off after this many bytes, and all of them after 4096.
constexpr size_t kLongestWarning = 256;
constexpr size_t kMostWarnings = 16;
constexpr size_t kLongestMessage = 2048;

bool IsPod(const Json& request) {
  const Json* const resource = Member(request, "resource");
  return resource != nullptr && MemberText(*resource, "group").empty() && MemberText(*resource, "resource") == "pods";
}

std::string PodName(const Json& request) {
  const Json* const object = Member(request, "object");
  const Json* const metadata = object == nullptr ? nullptr : Member(*object, "metadata");
  std::string name = MemberText(request, "name");
  if (name.empty() && metadata != nullptr) name = MemberText(*metadata, "generateName");
  return absl::StrCat(MemberText(request, "namespace"), "/", name);
}

// Names in a pod are whatever its maker says, and this ends up on terminals. What is cut within a character is mended
// by Written.
std::string Shown(std::string text, size_t longest) {
  if (text.size() > longest) text.resize(longest);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  return text;
}

std::string Written(const Json& json) {
  return json.dump(/*indent=*/-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

Json Warnings(const std::vector<std::string>& texts) {
  Json warnings = Json::array();
  for (const std::string& text : texts) {
    if (warnings.size() == kMostWarnings) break;
    warnings.push_back(Shown(text, kLongestWarning));
  }
  return warnings;
}

Json Allow(const PodRewrite& rewrite) {
  Json response = {{"allowed", true}};
  if (!rewrite.warnings.empty()) response["warnings"] = Warnings(rewrite.warnings);
  if (rewrite.patch.empty()) return response;
  response["patchType"] = "JSONPatch";
  response["patch"] = absl::Base64Escape(rewrite.patch.dump());
  return response;
}

Json Deny(absl::string_view why) {
  return {{"allowed", false},
          {"status",
           {{"message", Shown(absl::StrCat("keyferry: ", why), kLongestMessage)},
            {"reason", "Forbidden"},
            {"code", 403},
            {"status", "Failure"}}}};
}

// Of the pod itself, of its status, with which labels and annotations can be changed too, or of its debugging
// containers, of which there may be warnings.
absl::StatusOr<std::vector<std::string>> CheckUpdateOf(const std::string& part, const Json& request) {
  const bool debugging = part == "ephemeralcontainers";
  if (!debugging && !part.empty() && part != "status") return std::vector<std::string>();
  const Json* const before = Member(request, "oldObject");
  const Json* const after = Member(request, "object");
  if (before == nullptr || after == nullptr) {
    return Refuse("an update comes with the pod before and after it", before == nullptr ? "oldObject" : "object",
                  "see what stands between the API server and the webhook");
  }
  const absl::StatusOr<PodView> old_view = PodView::Read(*before);
  if (!old_view.ok()) return old_view.status();
  const absl::StatusOr<PodView> view = PodView::Read(*after);
  if (!view.ok()) return view.status();
  if (debugging) return CheckDebugging(*old_view, *view);
  KEYFERRY_RETURN_IF_REFUSED(CheckUpdate(*old_view, *view));
  return std::vector<std::string>();
}

absl::StatusOr<PodRewrite> Review(const Json& request, const RewriteConfig& config, const ReviewServices& services) {
  if (!IsPod(request)) return PodRewrite();
  const std::string operation = MemberText(request, "operation");
  const std::string part = MemberText(request, "subResource");
  if (operation == "UPDATE") {
    absl::StatusOr<std::vector<std::string>> warnings = CheckUpdateOf(part, request);
    if (!warnings.ok()) return warnings.status();
    PodRewrite untouched;
    untouched.warnings = *std::move(warnings);
    return untouched;
  }
  const Json* const object = Member(request, "object");
  if (operation != "CREATE" || !part.empty() || object == nullptr) return PodRewrite();
  absl::StatusOr<PodRewrite> rewrite = RewritePod(*object, config, services.definitions);
  if (rewrite.ok() && !rewrite->containers.empty() && MemberIsTrue(request, "dryRun") && services.check != nullptr) {
    for (std::string& line : services.check(rewrite->containers)) {
      rewrite->warnings.push_back(absl::StrCat("keyferry: ", line));
    }
  }
  return rewrite;
}

}  // namespace

absl::StatusOr<ReviewOutcome> AnswerReview(absl::string_view review, const RewriteConfig& config,
                                           const ReviewServices& services) {
  const absl::StatusOr<Json> parsed = ParseBoundedJson(review);
  if (!parsed.ok()) return parsed.status();
  const Json* const request = Member(*parsed, "request");
  const std::string uid = request == nullptr ? "" : MemberText(*request, "uid");
  if (MemberText(*parsed, "apiVersion") != kVersion || MemberText(*parsed, "kind") != "AdmissionReview" ||
      uid.empty() || uid.size() > kLongestUid) {
    return absl::InvalidArgumentError(absl::StrCat("it is no AdmissionReview of ", kVersion, " with a request"));
  }
  ReviewOutcome outcome;
  outcome.pod = PodName(*request);
  const absl::StatusOr<PodRewrite> rewrite = Review(*request, config, services);
  Json response = rewrite.ok() ? Allow(*rewrite) : Deny(rewrite.status().message());
  if (!rewrite.ok()) {
    outcome.kind = ReviewOutcome::kRefused;
    outcome.why = std::string(rewrite.status().message());
  } else if (!rewrite->patch.empty()) {
    outcome.kind = ReviewOutcome::kRewritten;
  }
  response["uid"] = uid;
  outcome.response = Written({{"apiVersion", kVersion}, {"kind", "AdmissionReview"}, {"response", response}});
  return outcome;
}

}  // namespace keyferry::injector::webhook
