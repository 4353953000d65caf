#include "server/oauth/refresh/testing_token_client.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace keyferry::server {

TokenResult Granted(const std::string& access, const std::string& refresh, absl::Duration lifetime) {
  TokenGrant grant;
  grant.access_token = storage::SecretBytes::CopyOf(access);
  grant.refresh_token = storage::SecretBytes::CopyOf(refresh);
  grant.lifetime = lifetime;
  return TokenResult(std::move(grant));
}

TokenResult Failed(TokenErrorKind kind, const std::string& message, absl::Duration retry_after) {
  TokenError error;
  error.kind = kind;
  error.message = message;
  error.retry_after = retry_after;
  return TokenResult(std::move(error));
}

TokenResult FailedAfterRotation(const std::string& refresh, TokenErrorKind kind) {
  TokenResult failed = Failed(kind);
  absl::get<TokenError>(failed).rotated_refresh_token =
      std::make_shared<const storage::SecretBytes>(storage::SecretBytes::CopyOf(refresh));
  return failed;
}

bool ScriptedTokenClient::Answer(TokenResult result) {
  Call call;
  {
    absl::MutexLock lock(&mutex_);
    if (calls_.empty()) return false;
    call = std::move(calls_.front());
    calls_.erase(calls_.begin());
  }
  call.done(std::move(result));
  return true;
}

size_t ScriptedTokenClient::waiting() const {
  absl::MutexLock lock(&mutex_);
  return calls_.size();
}

std::vector<std::string> ScriptedTokenClient::TakeRefreshes() {
  absl::MutexLock lock(&mutex_);
  return std::exchange(refreshes_, {});
}

std::vector<std::string> ScriptedTokenClient::TakeRevocations() {
  absl::MutexLock lock(&mutex_);
  return std::exchange(revocations_, {});
}

void ScriptedTokenClient::ExchangeCode(std::shared_ptr<const ProviderDefinition>, CodeExchange, absl::Duration,
                                       Done done) {
  done(Failed(TokenErrorKind::kRejected));
}

void ScriptedTokenClient::RequestWithoutPerson(std::shared_ptr<const ProviderDefinition>, const UrlVariables&,
                                               const std::vector<std::string>&, absl::Duration, Done done) {
  done(Failed(TokenErrorKind::kRejected));
}

void ScriptedTokenClient::Refresh(std::shared_ptr<const ProviderDefinition> provider, RefreshInput input,
                                  absl::Duration, Done done) {
  Call call;
  call.provider = provider->provider.name();
  call.refresh_token = std::string(input.refresh_token.Expose());
  call.access_token = std::string(input.access_token.Expose());
  call.variables = std::move(input.variables);
  call.scopes = std::move(input.scopes);
  call.done = std::move(done);
  {
    absl::MutexLock lock(&mutex_);
    refreshes_.push_back(
        absl::StrCat(call.provider, ":", call.refresh_token.empty() ? call.access_token : call.refresh_token));
    if (automatic == nullptr) {
      calls_.push_back(std::move(call));
      return;
    }
  }
  TokenResult result = automatic(call);
  call.done(std::move(result));
}

void ScriptedTokenClient::Revoke(std::shared_ptr<const ProviderDefinition> provider, RefreshInput tokens,
                                 absl::Duration, std::function<void(absl::Status)> done) {
  Call call;
  call.provider = provider->provider.name();
  call.refresh_token = std::string(tokens.refresh_token.Expose());
  call.access_token = std::string(tokens.access_token.Expose());
  call.variables = std::move(tokens.variables);
  {
    absl::MutexLock lock(&mutex_);
    revocations_.push_back(absl::StrCat(call.provider, ":", call.refresh_token, "/", call.access_token));
  }
  if (on_revoke_hangs != nullptr && on_revoke_hangs(call)) return;
  done(on_revoke == nullptr ? absl::OkStatus() : on_revoke(call));
}

TokenResult ReuseDetector::Answer(const ScriptedTokenClient::Call& call, absl::Duration lifetime) {
  const size_t dot = call.refresh_token.rfind('.');
  const std::string name = call.refresh_token.substr(0, dot);
  int number = 0;
  if (dot == std::string::npos || !absl::SimpleAtoi(call.refresh_token.substr(dot + 1), &number)) {
    return Failed(TokenErrorKind::kRejected, "no token of this provider");
  }
  absl::MutexLock lock(&mutex_);
  int& newest = newest_[name];
  if (newest != number) {
    if (newest >= 0) ++reused_;
    newest = -1;
    return Failed(TokenErrorKind::kInvalidGrant, "used twice");
  }
  ++granted_;
  ++newest;
  return Granted(absl::StrCat("access-", name, ".", newest), absl::StrCat(name, ".", newest), lifetime);
}

int ReuseDetector::granted() const {
  absl::MutexLock lock(&mutex_);
  return granted_;
}

int ReuseDetector::reused() const {
  absl::MutexLock lock(&mutex_);
  return reused_;
}

std::string ReuseDetector::Newest(const std::string& name) const {
  absl::MutexLock lock(&mutex_);
  const auto found = newest_.find(name);
  if (found == newest_.end()) return absl::StrCat(name, ".0");
  return found->second < 0 ? "" : absl::StrCat(name, ".", found->second);
}

}  // namespace keyferry::server
