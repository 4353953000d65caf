#ifndef KEYFERRY_SERVER_IDENTITY_EXTERNAL_TOKEN_REVIEWER_H_
#define KEYFERRY_SERVER_IDENTITY_EXTERNAL_TOKEN_REVIEWER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/config/config.pb.h"
#include "server/http/http_client.h"

namespace keyferry::server {

// Asks whether a token that was verified still stands: Kubernetes says no once its pod is deleted. Thread-safe.
class TokenReviewer {
 public:
  // OK; PERMISSION_DENIED if it does not stand; any other error if that is not known.
  using Done = std::function<void(absl::Status)>;

  virtual ~TokenReviewer() = default;

  // `subject` is what the token says of itself. Calls `done` once, on any thread, perhaps before it returns.
  virtual void Review(absl::string_view token, const std::string& subject, Done done) = 0;
};

// By a TokenReview of authentication.k8s.io/v1, with a deadline of 3 s. The token file is read for each request, the CA
// file once.
class HttpTokenReviewer : public TokenReviewer {
 public:
  // `review` is complete. INVALID_ARGUMENT names a CA file that cannot be used.
  static absl::StatusOr<std::unique_ptr<HttpTokenReviewer>> Create(const config::TokenReview& review,
                                                                   const std::string& audience);

  // With a client of the caller's.
  HttpTokenReviewer(const config::TokenReview& review, std::string audience, std::unique_ptr<HttpClient> http);

  void Review(absl::string_view token, const std::string& subject, Done done) override;

 private:
  const config::TokenReview review_;
  const std::string audience_;
  const std::unique_ptr<HttpClient> http_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_EXTERNAL_TOKEN_REVIEWER_H_
