#include "server/oauth/providers/provider_check.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/types/variant.h"
#include "server/oauth/providers/provider_probe.h"

namespace keyferry::server {
namespace {

// Assertions carry times, and providers allow little difference.
constexpr absl::Duration kMaxSkew = absl::Seconds(60);
constexpr v1::OauthFindingSeverity kOk = v1::OAUTH_FINDING_SEVERITY_OK;
constexpr v1::OauthFindingSeverity kWarning = v1::OAUTH_FINDING_SEVERITY_WARNING;
constexpr v1::OauthFindingSeverity kError = v1::OAUTH_FINDING_SEVERITY_ERROR;

class Findings {
 public:
  explicit Findings(v1::CheckOauthProviderResponse* response) : response_(response) {}

  void Add(v1::OauthFindingSeverity severity, absl::string_view subject, absl::string_view message,
           absl::string_view next_step = "") {
    v1::OauthFinding* const one = response_->add_findings();
    one->set_severity(severity);
    one->set_subject(std::string(subject));
    one->set_message(std::string(message));
    one->set_next_step(std::string(next_step));
  }

  // Why no answer came.
  void AddUnreachable(absl::string_view subject, const absl::Status& status) {
    switch (status.code()) {
      case absl::StatusCode::kPermissionDenied:
        return Add(kError, subject, absl::StrCat("its address is not allowed: ", status.message()),
                   "Correct the URL; an operator may allow private addresses in keyferryd's configuration.");
      case absl::StatusCode::kDeadlineExceeded:
        return Add(kError, subject, "no answer in time",
                   "Check the URL, and that keyferryd's network lets it through.");
      case absl::StatusCode::kResourceExhausted:
        return Add(kWarning, subject, absl::StrCat("not checked: ", status.message()), "Check again later.");
      default:
        return Add(kError, subject, absl::StrCat("cannot be reached: ", status.message()),
                   "Check the URL: its name must resolve, and its certificate be valid for it.");
    }
  }

 private:
  v1::CheckOauthProviderResponse* const response_;
};

// The value of a parameter in the query of a redirect, undecoded; errors of OAuth are plain words.
std::string QueryValue(absl::string_view url, absl::string_view name) {
  const size_t query = url.find('?');
  if (query == absl::string_view::npos) return "";
  for (const absl::string_view pair : absl::StrSplit(url.substr(query + 1), '&')) {
    absl::string_view value = pair;
    if (absl::ConsumePrefix(&value, absl::StrCat(name, "="))) {
      std::string plain;
      for (const char c : value.substr(0, 64)) {
        if (absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-') plain.push_back(c);
      }
      return plain;
    }
  }
  return "";
}

void JudgeAuthorization(const HttpResponse& page, const std::string& callback_url, Findings* findings) {
  const absl::string_view subject = "authorization_url";
  const absl::string_view location = page.Header("Location");
  if (page.status >= 300 && page.status < 400 && absl::StartsWith(location, callback_url)) {
    const std::string error = QueryValue(location, "error");
    if (!error.empty() && error != "login_required" && error != "interaction_required") {
      return findings->Add(kError, subject, absl::StrCat("refuses the request with `", error, "`"),
                           "Compare scopes and parameters with the provider's documentation.");
    }
  }
  if (page.status == 404 || page.status == 410) {
    return findings->Add(kError, subject, absl::StrCat("there is no page: status ", page.status), "Correct the URL.");
  }
  if (page.status >= 500) {
    return findings->Add(kError, subject, absl::StrCat("fails: status ", page.status),
                         "Check again later; if it goes on, look at the provider's status page.");
  }
  if (page.status >= 400) {
    return findings->Add(
        kWarning, subject, absl::StrCat("refuses the request: status ", page.status),
        absl::StrCat("Check the client id, and that exactly ", callback_url,
                     " is registered as redirect URI. Some providers refuse everything but browsers."));
  }
  findings->Add(kOk, subject, "answers the request for consent");
}

void JudgeToken(const TokenResult& result, Findings* findings) {
  const absl::string_view subject = "token_url";
  if (absl::holds_alternative<TokenGrant>(result)) {
    return findings->Add(kError, subject, "grants tokens for a code that cannot exist",
                         "Correct the URL; this is no token endpoint to trust.");
  }
  const TokenError& error = absl::get<TokenError>(result);
  if (error.code == "invalid_client" || error.code == "unauthorized_client") {
    if (error.code == "unauthorized_client") {
      return findings->Add(kOk, subject, "answers, and knows the client");
    }
    return findings->Add(kError, subject, "does not accept the client: `invalid_client`",
                         "Check the client id, the secret, and client.authentication.");
  }
  if (error.kind == TokenErrorKind::kInvalidGrant || error.code == "invalid_request" ||
      error.code == "unsupported_grant_type") {
    return findings->Add(kOk, subject, "answers, and knows the client");
  }
  if (error.kind == TokenErrorKind::kRateLimited) {
    return findings->Add(kWarning, subject, "asks for fewer requests just now", "Check again later.");
  }
  if (error.kind == TokenErrorKind::kRejected) {
    return findings->Add(kWarning, subject, absl::StrCat("refuses a code that cannot exist: ", error.message),
                         "If connections fail as well, compare the definition with the provider's documentation.");
  }
  findings->Add(kError, subject, error.message, "Check the URL and the request's format.");
}

void JudgePages(const v1::OauthProvider& provider, const ProbeAnswers& answers, const ProviderCheck& check,
                Findings* findings) {
  for (const auto& [field, variable] : answers.open_variables) {
    findings->Add(kWarning, field, absl::StrCat("not checked: each connection gives its own value of `", variable, "`"),
                  "Connect once to see that it works.");
  }
  for (const auto& [field, page] : answers.pages) {
    if (!page.ok()) {
      findings->AddUnreachable(field, page.status());
    } else if (field == "authorization_url") {
      JudgeAuthorization(*page, check.callback_url, findings);
    } else if (field != "token_url") {
      findings->Add(kOk, field, "answers");
    }
  }
  const auto token_page = answers.pages.find("token_url");
  // Said once, if it cannot even be reached.
  if (answers.token.has_value() && (token_page == answers.pages.end() || token_page->second.ok())) {
    JudgeToken(*answers.token, findings);
  }
  if (provider.endpoints().revocation_url().empty()) {
    findings->Add(kWarning, "revocation_url", "there is none: a disconnect cannot revoke tokens at the provider",
                  "Send it if the provider has one (RFC 7009).");
  }
}

void JudgeClock(const ProbeAnswers& answers, absl::Time now, Findings* findings) {
  for (const auto& [field, page] : answers.pages) {
    if (!page.ok()) continue;
    absl::Time theirs;
    std::string error;
    const std::string date(page->Header("Date"));
    // RFC 9110, section 5.6.7.
    if (!absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", date, &theirs, &error)) continue;
    const absl::Duration skew = theirs - now;
    if (absl::AbsDuration(skew) <= kMaxSkew) return findings->Add(kOk, "clock", "agrees with the provider's");
    return findings->Add(kError, "clock",
                         absl::StrCat("differs from the provider's by ",
                                      absl::FormatDuration(absl::Trunc(absl::AbsDuration(skew), absl::Seconds(1)))),
                         "Have the server's clock set by NTP: assertions and expiry depend on it.");
  }
}

void CompareUrl(absl::string_view field, const std::string& ours, const std::string& theirs, Findings* findings) {
  if (ours.empty() || theirs.empty() || ours == theirs) return;
  findings->Add(kWarning, field, absl::StrCat("the provider's metadata names another: ", theirs),
                "Use that one, unless the provider's documentation says otherwise.");
}

template <typename T>
bool Has(const std::vector<T>& all, const T& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

// What a refresh token is asked for with, where it is asked for at all.
bool AsksForOfflineAccess(const v1::OauthProvider& provider) {
  const auto& scopes = provider.authorization().scopes();
  return std::any_of(scopes.begin(), scopes.end(), [](const std::string& scope) {
    return scope == "offline_access" || scope == "offline" || scope == "refresh_token" ||
           absl::StartsWith(scope, "offline.");
  });
}

void JudgeMetadata(const v1::OauthProvider& provider, const absl::StatusOr<DiscoveredMetadata>& metadata,
                   Findings* findings) {
  const absl::string_view subject = provider.endpoints().issuer().empty() ? "resource" : "issuer";
  if (!metadata.ok()) {
    if (!absl::IsFailedPrecondition(metadata.status())) return findings->AddUnreachable(subject, metadata.status());
    return findings->Add(kError, subject, metadata.status().message(),
                         "Send the issuer exactly as the provider names it, or leave it out.");
  }
  const v1::OauthEndpoints& ours = provider.endpoints();
  const v1::OauthEndpoints& theirs = metadata->endpoints;
  findings->Add(kOk, subject, absl::StrCat("its metadata names itself ", theirs.issuer()));
  CompareUrl("authorization_url", ours.authorization_url(), theirs.authorization_url(), findings);
  CompareUrl("token_url", ours.token_url(), theirs.token_url(), findings);
  CompareUrl("revocation_url", ours.revocation_url(), theirs.revocation_url(), findings);
  const v1::OauthClientAuthentication way = provider.client().authentication();
  if (way != v1::OAUTH_CLIENT_AUTHENTICATION_UNSPECIFIED && !metadata->authentication_methods.empty() &&
      !Has(metadata->authentication_methods, way)) {
    findings->Add(kWarning, "client.authentication", "not among those that the provider's metadata lists",
                  "Use one of those, unless the provider's documentation says otherwise.");
  }
  if (!metadata->grant_types.empty() && !Has(metadata->grant_types, provider.grant_type())) {
    findings->Add(kWarning, "grant_type", "not among those that the provider's metadata lists",
                  "Check that the provider offers this grant to your client.");
  }
  if (metadata->pkce == v1::OAUTH_PKCE_S256 && provider.authorization().pkce() == v1::OAUTH_PKCE_OFF) {
    findings->Add(kWarning, "authorization.pkce", "off, although the provider supports S256", "Use OAUTH_PKCE_S256.");
  }
  if (metadata->issuer_in_callback && !provider.authorization().require_issuer()) {
    findings->Add(kWarning, "authorization.require_issuer",
                  "off, although the provider names itself in its callbacks (RFC 9207)", "Turn it on.");
  }
  if (provider.grant_type() == v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE && !AsksForOfflineAccess(provider) &&
      provider.refresh().method() != v1::OAUTH_REFRESH_METHOD_NONE &&
      Has(metadata->scopes, std::string("offline_access"))) {
    findings->Add(kWarning, "authorization.scopes",
                  "`offline_access` is not asked for, so that there may be no refresh token",
                  "Add the scope `offline_access`; without it people have to consent again when a token ends.");
  }
  for (const std::string& note : metadata->notes) {
    findings->Add(kWarning, subject, note, "See the provider's documentation.");
  }
}

void JudgeDefinition(const v1::OauthProvider& provider, const std::string& callback_url, Findings* findings) {
  if (provider.grant_type() == v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE) {
    findings->Add(kOk, "redirect URI", absl::StrCat("to be registered at the provider: ", callback_url));
  } else if (provider.grant_type() == v1::OAUTH_GRANT_TYPE_CLIENT_CREDENTIALS &&
             (provider.client().authentication() == v1::OAUTH_CLIENT_AUTHENTICATION_NONE ||
              (provider.client().authentication() == v1::OAUTH_CLIENT_AUTHENTICATION_UNSPECIFIED &&
               provider.client().client_secret().empty()))) {
    findings->Add(kWarning, "client.authentication", "none, so that anybody who knows the client id gets its tokens",
                  "Send a client secret, or use PRIVATE_KEY_JWT or TLS_CLIENT_AUTH.");
  }
}

}  // namespace

v1::CheckOauthProviderResponse CheckProvider(const ProviderCheck& check,
                                             const std::shared_ptr<const ProviderDefinition>& definition) {
  const v1::OauthProvider& provider = definition->provider;
  const ProbeAnswers answers = ProbeProvider(check, definition);
  v1::CheckOauthProviderResponse response;
  Findings findings(&response);
  if (answers.metadata.has_value()) JudgeMetadata(provider, *answers.metadata, &findings);
  JudgePages(provider, answers, check, &findings);
  JudgeClock(answers, check.now, &findings);
  JudgeDefinition(provider, check.callback_url, &findings);
  response.set_healthy(std::none_of(response.findings().begin(), response.findings().end(),
                                    [](const v1::OauthFinding& one) { return one.severity() == kError; }));
  return response;
}

}  // namespace keyferry::server
