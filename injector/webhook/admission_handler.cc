#include "injector/webhook/admission_handler.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace keyferry::injector::webhook {
namespace {

constexpr size_t kLongestLine = 1024;

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

}  // namespace

HttpHandler MakeAdmissionHandler(RewriteConfig config, ReviewServices services,
                                 std::function<void(const std::string& line)> log) {
  return [config = std::move(config), services = std::move(services), log = std::move(log)](const HttpAsked& asked) {
    const std::string path = asked.target.substr(0, asked.target.find('?'));
    if (path == kHealthPath) return asked.method == "GET" ? Plain(200, "ok") : Plain(405, "GET only");
    if (path != "/mutate") return Plain(404, "there are /mutate and /healthz");
    if (asked.method != "POST") return Plain(405, "POST only");
    absl::StatusOr<ReviewOutcome> outcome = AnswerReview(asked.body, config, services);
    if (!outcome.ok()) {
      log(Line(absl::StrCat("a request was not understood: ", outcome.status().message())));
      return Plain(400, std::string(outcome.status().message()));
    }
    if (outcome->kind == ReviewOutcome::kRefused) log(Line(absl::StrCat("refused ", outcome->pod, ": ", outcome->why)));
    if (outcome->kind == ReviewOutcome::kRewritten) log(Line(absl::StrCat("rewrote ", outcome->pod)));
    HttpAnswer answer;
    answer.content_type = "application/json";
    answer.body = std::move(outcome->response);
    return answer;
  };
}

}  // namespace keyferry::injector::webhook
