#ifndef KEYFERRY_SERVER_OAUTH_REFRESH_TESTING_TOKEN_CLIENT_H_
#define KEYFERRY_SERVER_OAUTH_REFRESH_TESTING_TOKEN_CLIENT_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/oauth/protocol/token_client.h"

namespace keyferry::server {

// Testonly. What a token endpoint answers.
TokenResult Granted(const std::string& access, const std::string& refresh, absl::Duration lifetime = absl::Hours(1));
TokenResult Failed(TokenErrorKind kind, const std::string& message = "said no",
                   absl::Duration retry_after = absl::ZeroDuration());
// Refuses after it gave a new refresh token.
TokenResult FailedAfterRotation(const std::string& refresh, TokenErrorKind kind = TokenErrorKind::kTemporary);

// Testonly. A client whose answers the test gives. Thread-safe.
class ScriptedTokenClient : public TokenClient {
 public:
  // "github r1", or "github a1" where there is no refresh token.
  struct Call {
    std::string provider;
    std::string refresh_token;
    std::string access_token;
    UrlVariables variables;
    std::vector<std::string> scopes;
    Done done;
  };

  // Answers refreshes at once, on the asker's thread. Without it they wait for Answer.
  std::function<TokenResult(const Call&)> automatic;
  // What revocations are answered.
  std::function<absl::Status(const Call&)> on_revoke;
  // Which revocations are never answered.
  std::function<bool(const Call&)> on_revoke_hangs;

  // Answers the oldest refresh that waits; false if there is none.
  bool Answer(TokenResult result) ABSL_LOCKS_EXCLUDED(mutex_);
  size_t waiting() const ABSL_LOCKS_EXCLUDED(mutex_);
  // "github:r1", in order, since the last call.
  std::vector<std::string> TakeRefreshes() ABSL_LOCKS_EXCLUDED(mutex_);
  // "github:r1/a1", in order.
  std::vector<std::string> TakeRevocations() ABSL_LOCKS_EXCLUDED(mutex_);

  void ExchangeCode(std::shared_ptr<const ProviderDefinition> provider, CodeExchange exchange, absl::Duration timeout,
                    Done done) override;
  void Refresh(std::shared_ptr<const ProviderDefinition> provider, RefreshInput input, absl::Duration timeout,
               Done done) override ABSL_LOCKS_EXCLUDED(mutex_);
  void RequestWithoutPerson(std::shared_ptr<const ProviderDefinition> provider, const UrlVariables& variables,
                            const std::vector<std::string>& scopes, absl::Duration timeout, Done done) override;
  void Revoke(std::shared_ptr<const ProviderDefinition> provider, RefreshInput tokens, absl::Duration timeout,
              std::function<void(absl::Status)> done) override ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  mutable absl::Mutex mutex_;
  std::vector<Call> calls_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> refreshes_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> revocations_ ABSL_GUARDED_BY(mutex_);
};

// Testonly. A provider that gives a new refresh token with every access token, and on the second use of an old one
// revokes all that came from it. Tokens are "NAME.N". Thread-safe.
class ReuseDetector {
 public:
  TokenResult Answer(const ScriptedTokenClient::Call& call, absl::Duration lifetime) ABSL_LOCKS_EXCLUDED(mutex_);
  // Exchanges that it granted, and reuses that it saw.
  int granted() const ABSL_LOCKS_EXCLUDED(mutex_);
  int reused() const ABSL_LOCKS_EXCLUDED(mutex_);
  // The one refresh token that `name` may use now; "" if it was revoked.
  std::string Newest(const std::string& name) const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  mutable absl::Mutex mutex_;
  // By name, the number that is valid; -1 once revoked.
  std::map<std::string, int> newest_ ABSL_GUARDED_BY(mutex_);
  int granted_ ABSL_GUARDED_BY(mutex_) = 0;
  int reused_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_REFRESH_TESTING_TOKEN_CLIENT_H_
