#include "injector/webhook/admission_handler.h"

#include <algorithm>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"

namespace keyferry::injector::webhook {
namespace {

constexpr size_t kLongestLine = 1024;
constexpr absl::Duration kLongestPatience = absl::Seconds(4);

HttpAnswer Plain(int status, std::string text) {
  HttpAnswer answer;
  answer.status = status;
  answer.body = std::move(text) + "\n";
  return answer;
}

// Names in a review are whatever its sender says.
std::string Line(std::string text) {
  if (text.size() > kLongestLine) text.resize(kLongestLine);
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

// Of a request's questions. Kubernetes writes how long it waits as "10s".
absl::Duration Patience(absl::string_view target) {
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(target, absl::MaxSplits('?', 1));
  for (absl::string_view parameter : absl::StrSplit(parts.second, '&')) {
    absl::Duration timeout;
    if (!absl::ConsumePrefix(&parameter, "timeout=") || !absl::ParseDuration(parameter, &timeout)) continue;
    return std::clamp(timeout / 2, absl::ZeroDuration(), kLongestPatience);
  }
  return kLongestPatience;
}

// Counts a review when it ends, as failed unless it was answered.
class CountedReview {
 public:
  CountedReview(WebhookMetrics* metrics, absl::Time received) : metrics_(metrics), received_(received) {}
  ~CountedReview() { metrics_->CountReview(outcome_, std::max(absl::Now() - received_, absl::ZeroDuration())); }
  CountedReview(const CountedReview&) = delete;
  CountedReview& operator=(const CountedReview&) = delete;

  void Answered(ReviewOutcome::Kind kind) {
    outcome_ = kind == ReviewOutcome::kRewritten ? WebhookMetrics::kPatched
               : kind == ReviewOutcome::kRefused ? WebhookMetrics::kRefused
                                                 : WebhookMetrics::kUntouched;
  }

 private:
  WebhookMetrics* const metrics_;
  const absl::Time received_;
  WebhookMetrics::Review outcome_ = WebhookMetrics::kFailed;
};

}  // namespace

HttpHandler MakeAdmissionHandler(RewriteConfig config, ServicesUntil services,
                                 std::function<void(const std::string& line)> log, WebhookMetrics* metrics) {
  return [config = std::move(config), services = std::move(services), log = std::move(log),
          metrics](const HttpAsked& asked) {
    const std::string path = asked.target.substr(0, asked.target.find('?'));
    if (path == kHealthPath) return asked.method == "GET" ? Plain(200, "ok") : Plain(405, "GET only");
    if (path != "/mutate") return Plain(404, "there are /mutate and /healthz");
    if (asked.method != "POST") return Plain(405, "POST only");
    CountedReview review(metrics, asked.received);
    absl::StatusOr<ReviewOutcome> outcome =
        AnswerReview(asked.body, config, services(asked.received + Patience(asked.target)));
    if (!outcome.ok()) {
      log(Line(absl::StrCat("a request was not understood: ", outcome.status().message())));
      return Plain(400, std::string(outcome.status().message()));
    }
    review.Answered(outcome->kind);
    if (outcome->kind == ReviewOutcome::kRefused) log(Line(absl::StrCat("refused ", outcome->pod, ": ", outcome->why)));
    if (outcome->kind == ReviewOutcome::kRewritten) log(Line(absl::StrCat("rewrote ", outcome->pod)));
    HttpAnswer answer;
    answer.content_type = "application/json";
    answer.body = std::move(outcome->response);
    return answer;
  };
}

}  // namespace keyferry::injector::webhook
