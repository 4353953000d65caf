#include "server/oauth/providers/provider_probe.h"

#include <functional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/synchronization/mutex.h"
#include "server/oauth/protocol/authorization_url.h"
#include "storage/crypto/secret_bytes.h"
#include "storage/crypto/sha256.h"

namespace keyferry::server {
namespace {

constexpr size_t kRandomBytes = 32;

// Answers that are still to come are dropped when nobody waits any more.
struct Gathered {
  absl::Mutex mutex;
  int open ABSL_GUARDED_BY(mutex) = 0;
  bool closed ABSL_GUARDED_BY(mutex) = false;
  ProbeAnswers answers ABSL_GUARDED_BY(mutex);
};

// A function that takes one answer; the gathering is open until it has.
template <typename T>
std::function<void(T)> Taker(const std::shared_ptr<Gathered>& gathered, std::function<void(ProbeAnswers*, T)> put) {
  {
    absl::MutexLock lock(&gathered->mutex);
    ++gathered->open;
  }
  return [gathered, put = std::move(put)](T answer) {
    absl::MutexLock lock(&gathered->mutex);
    if (gathered->closed) return;
    put(&gathered->answers, std::move(answer));
    --gathered->open;
  };
}

std::string RandomText() { return absl::WebSafeBase64Escape(storage::RandomString(kRandomBytes)); }

// The name of a variable in `url` that has no value; "" if there is none.
std::string OpenVariable(const v1::OauthProvider& provider, absl::string_view url) {
  for (const v1::OauthUrlVariable& one : provider.url_variables()) {
    if (one.value().empty() && absl::StrContains(url, absl::StrCat("{", one.name(), "}"))) return one.name();
  }
  return "";
}

std::string Filled(const v1::OauthProvider& provider, std::string url) {
  // Values of pages that are merely reached; whatever their pattern allows has its meaning in a URL as it is.
  for (const v1::OauthUrlVariable& one : provider.url_variables()) {
    url = absl::StrReplaceAll(url, {{absl::StrCat("{", one.name(), "}"), one.value()}});
  }
  return url;
}

class Prober {
 public:
  Prober(const ProviderCheck& check, std::shared_ptr<const ProviderDefinition> definition)
      : check_(check), definition_(std::move(definition)), gathered_(std::make_shared<Gathered>()) {}

  ProbeAnswers Run() {
    AskMetadata();
    AskAuthorization();
    AskToken();
    const v1::OauthEndpoints& endpoints = provider().endpoints();
    Reach("token_url", endpoints.token_url());
    Reach("refresh_url", endpoints.refresh_url());
    Reach("revocation_url", endpoints.revocation_url());
    Reach("introspection_url", endpoints.introspection_url());
    Reach("userinfo_url", endpoints.userinfo_url());
    return Collect();
  }

 private:
  const v1::OauthProvider& provider() const { return definition_->provider; }

  void AskMetadata() {
    v1::OauthEndpoints who;
    who.set_issuer(provider().endpoints().issuer());
    who.set_resource(provider().endpoints().resource());
    if (who.issuer().empty() && who.resource().empty()) return;
    using Answer = absl::StatusOr<DiscoveredMetadata>;
    sent_.emplace_back("metadata");
    Discover(check_.http, who, check_.timeout, Taker<Answer>(gathered_, [](ProbeAnswers* answers, Answer answer) {
               answers->metadata.emplace(std::move(answer));
             }));
  }

  void AskAuthorization() {
    const std::string& url = provider().endpoints().authorization_url();
    if (url.empty() || provider().grant_type() != v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE) return;
    AuthorizationRequest request;
    request.redirect_uri = check_.callback_url;
    request.state = RandomText();
    if (provider().authorization().pkce() != v1::OAUTH_PKCE_OFF) {
      request.code_challenge = absl::WebSafeBase64Escape(storage::View(storage::Sha256({RandomText()})));
    }
    const absl::StatusOr<std::string> whole = AuthorizationUrl(provider(), request);
    // What keeps it from being made is a variable.
    Get("authorization_url", url, whole.ok() ? *whole : "");
  }

  // Anything that answers will do.
  void Reach(const std::string& field, const std::string& url) {
    if (!url.empty()) Get(field, url, Filled(provider(), url));
  }

  void Get(const std::string& field, const std::string& url, const std::string& filled) {
    const std::string open = OpenVariable(provider(), url);
    if (!open.empty() || filled.empty()) {
      absl::MutexLock lock(&gathered_->mutex);
      gathered_->answers.open_variables[field] = open;
      return;
    }
    HttpRequest request;
    request.url = filled;
    request.headers = {{"Accept", "text/html, application/json"}};
    using Answer = absl::StatusOr<HttpResponse>;
    sent_.push_back(field);
    check_.http->Send(std::move(request), check_.timeout,
                      Taker<Answer>(gathered_, [field](ProbeAnswers* answers, Answer answer) {
                        answers->pages.insert_or_assign(field, std::move(answer));
                      }));
  }

  void AskToken() {
    if (!OpenVariable(provider(), provider().endpoints().token_url()).empty()) return;
    auto bogus = std::make_shared<ProviderDefinition>();
    bogus->provider = provider();
    bogus->signing_key = definition_->signing_key.Clone();
    if (provider().grant_type() != v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE) {
      // With them the request could be the real one, and bring a token.
      bogus->provider.mutable_token()->clear_grant_type();
      bogus->provider.mutable_token()->clear_parameters();
      bogus->provider.set_grant_type(v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE);
    }
    // Each connection's own values stand in parameters at most here, where any text does.
    TokenClient::CodeExchange exchange;
    for (v1::OauthUrlVariable& one : *bogus->provider.mutable_url_variables()) {
      if (one.value().empty()) exchange.variables[one.name()] = "keyferry-check";
      if (one.value().empty()) one.clear_pattern();
    }
    exchange.code = absl::StrCat("keyferry-check-", RandomText());
    if (provider().authorization().pkce() != v1::OAUTH_PKCE_OFF) {
      exchange.code_verifier = storage::SecretBytes::CopyOf(RandomText());
    }
    exchange.redirect_uri = check_.callback_url;
    sent_.emplace_back("token");
    check_.tokens->ExchangeCode(std::move(bogus), std::move(exchange), check_.timeout,
                                Taker<TokenResult>(gathered_, [](ProbeAnswers* answers, TokenResult answer) {
                                  answers->token.emplace(std::move(answer));
                                }));
  }

  ProbeAnswers Collect() {
    const auto complete = [this] {
      gathered_->mutex.AssertReaderHeld();
      return gathered_->open == 0;
    };
    absl::MutexLock lock(&gathered_->mutex);
    gathered_->mutex.AwaitWithTimeout(absl::Condition(&complete), 2 * check_.timeout);
    gathered_->closed = true;
    ProbeAnswers answers = std::move(gathered_->answers);
    const absl::Status late = absl::DeadlineExceededError("no answer in time");
    for (const std::string& sent : sent_) {
      if (sent == "metadata") {
        if (!answers.metadata.has_value()) answers.metadata.emplace(late);
      } else if (sent == "token") {
        if (!answers.token.has_value()) {
          answers.token.emplace(TokenError{TokenErrorKind::kTemporary, {}, "", "no answer in time"});
        }
      } else {
        answers.pages.emplace(sent, late);
      }
    }
    return answers;
  }

  const ProviderCheck& check_;
  const std::shared_ptr<const ProviderDefinition> definition_;
  const std::shared_ptr<Gathered> gathered_;
  std::vector<std::string> sent_;
};

}  // namespace

ProbeAnswers ProbeProvider(const ProviderCheck& check, const std::shared_ptr<const ProviderDefinition>& definition) {
  return Prober(check, definition).Run();
}

}  // namespace keyferry::server
