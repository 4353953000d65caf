#include "server/identity/external/token_reviewer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "server/http/beast_client.h"
#include "server/identity/external/blocking_fetch.h"
#include "server/identity/jwt/json_member.h"
#include "server/oauth/protocol/document.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(3);
constexpr size_t kMaxAnswer = 64 << 10;

// The token is base64url and dots, which JSON leaves as it is.
std::string BodyOf(absl::string_view token, const std::string& audience) {
  return absl::StrCat(R"({"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":")", token,
                      R"(","audiences":[)", nlohmann::json(audience).dump(), "]}}");
}

bool Holds(const Document* list, absl::string_view text) {
  return list != nullptr && list->kind() == Document::Kind::kArray &&
         std::any_of(list->members().begin(), list->members().end(),
                     [&](const auto& item) { return item.second.is_string() && item.second.text() == text; });
}

absl::Status Judge(const absl::StatusOr<HttpResponse>& response, const std::string& audience,
                   const std::string& subject) {
  if (!response.ok()) return absl::UnavailableError(absl::StrCat("TokenReview: ", response.status().message()));
  if (response->status != 200 && response->status != 201) {
    return absl::UnavailableError(
        absl::StrCat("TokenReview: the API server answered with HTTP status ", response->status));
  }
  const absl::StatusOr<Document> document = Document::ParseJson(response->body);
  if (!document.ok()) return absl::UnavailableError(absl::StrCat("TokenReview: ", document.status().message()));
  const Document* const status = Member(*document, "status");
  if (MemberText(*document, "kind") != "TokenReview" || status == nullptr || !status->is_object()) {
    return absl::UnavailableError("TokenReview: the API server answered something else");
  }
  const Document* const authenticated = Member(*status, "authenticated");
  if (authenticated == nullptr || authenticated->kind() != Document::Kind::kBool || authenticated->text() != "true") {
    return absl::PermissionDeniedError("TokenReview: the token does not stand any more");
  }
  // An API server that does not know of audiences answers without them.
  if (!Holds(Member(*status, "audiences"), audience)) {
    return absl::PermissionDeniedError("TokenReview: the token is for another audience");
  }
  const Document* const user = Member(*status, "user");
  if (user == nullptr || MemberText(*user, "username") != subject) {
    return absl::PermissionDeniedError("TokenReview: the token is another's");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<HttpTokenReviewer>> HttpTokenReviewer::Create(const config::TokenReview& review,
                                                                             const std::string& audience) {
  BeastClient::Options options;
  if (!review.ca_file().empty()) options.ca_bundle = review.ca_file();
  options.guard = AddressGuard::ForConfiguredHosts();
  options.max_body = kMaxAnswer;
  ASSIGN_OR_RETURN(std::unique_ptr<BeastClient> http, BeastClient::Create(std::move(options)));
  return std::make_unique<HttpTokenReviewer>(review, audience, std::move(http));
}

HttpTokenReviewer::HttpTokenReviewer(const config::TokenReview& review, std::string audience,
                                     std::unique_ptr<HttpClient> http)
    : review_(review), audience_(std::move(audience)), http_(std::move(http)) {}

void HttpTokenReviewer::Review(absl::string_view token, const std::string& subject, Done done) {
  absl::StatusOr<std::string> own = ReadBearerToken(review_.token_file());
  if (!own.ok()) return done(absl::UnavailableError(absl::StrCat("TokenReview: ", own.status().message())));
  HttpRequest request;
  request.method = "POST";
  request.url = absl::StrCat(review_.url(), "/apis/authentication.k8s.io/v1/tokenreviews");
  request.headers = {{"Accept", "application/json"},
                     {"Content-Type", "application/json"},
                     {"Authorization", absl::StrCat("Bearer ", *own)}};
  storage::WipeString(*own);
  request.body = BodyOf(token, audience_);
  http_->Send(std::move(request), kDeadline,
              [audience = audience_, subject, done = std::move(done)](absl::StatusOr<HttpResponse> response) {
                done(Judge(response, audience, subject));
              });
}

}  // namespace keyferry::server
