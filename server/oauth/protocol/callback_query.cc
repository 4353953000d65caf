#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/http/url.h"
#include "server/oauth/protocol/authorization_url.h"
#include "server/oauth/protocol/encoding.h"

namespace keyferry::server {
namespace {

constexpr size_t kMaxQueryBytes = 16 * 1024;
constexpr size_t kMaxParameters = 64;
constexpr size_t kMaxErrorBytes = 64;
constexpr size_t kMaxDescriptionBytes = 256;

bool IsPrintable(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isprint(c); });
}

// What a person can do about the errors of RFC 6749, section 4.1.2.1.
absl::string_view Advice(absl::string_view error) {
  if (error == "access_denied") return "access was not granted. Start again and agree, or ask who may agree for you";
  if (error == "invalid_scope")
    return "a scope is unknown there or not allowed. An administrator must correct the scopes";
  if (error == "server_error" || error == "temporarily_unavailable") {
    return "it is out of order for now. Start again in a while";
  }
  if (error == "login_required" || error == "interaction_required" || error == "consent_required") {
    return "you have to sign in there and agree. Start again";
  }
  if (error == "unauthorized_client" || error == "unsupported_response_type" || error == "invalid_request" ||
      error == "redirect_uri_mismatch" || error == "invalid_target") {
    return "it does not take the request of this client. An administrator must compare the provider's definition with "
           "the client that is registered there, the redirect URI above all";
  }
  return "it did not grant access. Start again; if that fails, ask an administrator";
}

}  // namespace

absl::StatusOr<CallbackQuery> ParseCallbackQuery(absl::string_view query) {
  if (query.size() > kMaxQueryBytes) return absl::InvalidArgumentError("the query is longer than 16 KiB");
  absl::StatusOr<ParameterList> parameters = ParseForm(query, kMaxParameters);
  if (!parameters.ok()) return parameters.status();
  CallbackQuery out;
  for (const Parameter& parameter : parameters->all()) {
    if (!IsUtf8(parameter.name) || !IsUtf8(parameter.value)) {
      return absl::InvalidArgumentError("a parameter is not UTF-8");
    }
    out.parameters[parameter.name] = parameter.value;
  }
  for (const char* name : {"state", "iss"}) {
    if (!IsPrintable(parameters->Get(name))) {
      return absl::InvalidArgumentError(absl::StrCat("`", name, "` holds characters that it must not hold"));
    }
  }
  out.state = std::string(parameters->Get("state"));
  out.issuer = std::string(parameters->Get("iss"));
  out.error = Printable(parameters->Get("error"), kMaxErrorBytes);
  out.error_description = Printable(parameters->Get("error_description"), kMaxDescriptionBytes);
  return out;
}

namespace {

// Whether the answer may come from `issuer`. A definition that names none is known by the host of its own pages.
bool IsIssuer(const v1::OauthProvider& provider, absl::string_view issuer) {
  if (!provider.endpoints().issuer().empty()) return issuer == provider.endpoints().issuer();
  const absl::StatusOr<HttpsUrl> from = ParseHttpsUrl(issuer);
  const absl::StatusOr<HttpsUrl> asked = ParseHttpsUrl(provider.endpoints().authorization_url());
  // An URL with variables in its host cannot be compared.
  return !asked.ok() || (from.ok() && from->host == asked->host);
}

}  // namespace

absl::Status TakeCode(const v1::OauthProvider& provider, CallbackQuery* query) {
  query->code.clear();
  // First of all, so that another server's words are not believed (RFC 9207, section 2.4).
  if (!query->issuer.empty() && !IsIssuer(provider, query->issuer)) {
    return absl::FailedPreconditionError(
        "the answer comes from another authorization server than the one that was asked. Start again; if that fails, "
        "an "
        "administrator must correct the provider's issuer");
  }
  if (query->issuer.empty() && provider.authorization().require_issuer()) {
    return absl::FailedPreconditionError(
        "the answer does not say which authorization server it comes from, which this provider requires. Start again");
  }
  if (!query->error.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the provider answered `", query->error, "`",
                     query->error_description.empty() ? "" : absl::StrCat(" (", query->error_description, ")"), ": ",
                     Advice(query->error)));
  }
  const std::string& own = provider.authorization().code_parameter();
  const auto found = query->parameters.find(own.empty() ? "code" : own);
  if (found == query->parameters.end() || found->second.empty()) {
    return absl::FailedPreconditionError(
        "the provider sent no code. Start again; if that fails, an administrator must look at the provider's "
        "definition");
  }
  if (!IsPrintable(found->second))
    return absl::FailedPreconditionError("the provider sent a damaged code. Start again");
  query->code = found->second;
  return absl::OkStatus();
}

}  // namespace keyferry::server
