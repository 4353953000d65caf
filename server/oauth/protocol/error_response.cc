#include "server/oauth/protocol/error_response.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "server/oauth/protocol/encoding.h"
#include "server/oauth/protocol/expiry.h"

namespace keyferry::server {
namespace {

constexpr size_t kMaxCodeBytes = 64;
constexpr size_t kMaxDescriptionBytes = 200;
// Shorter secrets are too likely to be a word of the description.
constexpr size_t kMinSecretBytes = 6;
// A longer word with letters and digits is more likely a token than a word.
constexpr size_t kMaxWordBytes = 24;

bool HoldsASecret(absl::string_view text, const std::vector<absl::string_view>& secrets) {
  return std::any_of(secrets.begin(), secrets.end(), [text](absl::string_view secret) {
    return secret.size() >= kMinSecretBytes && absl::StrContains(text, secret);
  });
}

bool LooksLikeAToken(absl::string_view word) {
  return word.size() > kMaxWordBytes && std::any_of(word.begin(), word.end(), absl::ascii_isdigit) &&
         std::any_of(word.begin(), word.end(), absl::ascii_isalpha);
}

// The provider's words, for people.
std::string Words(absl::string_view text, const std::vector<absl::string_view>& secrets) {
  if (HoldsASecret(text, secrets)) return "";
  std::vector<std::string> words = absl::StrSplit(Printable(text, 8 * kMaxDescriptionBytes), ' ');
  for (std::string& word : words) {
    if (LooksLikeAToken(word)) word = "[...]";
  }
  return Printable(absl::StrJoin(words, " "), kMaxDescriptionBytes);
}

std::string Code(absl::string_view text, const std::vector<absl::string_view>& secrets) {
  if (HoldsASecret(text, secrets) || LooksLikeAToken(text)) return "";
  return Printable(text, kMaxCodeBytes);
}

TokenErrorKind KindOf(int status, absl::string_view code) {
  if (status == 429) return TokenErrorKind::kRateLimited;
  if (status >= 500 || status == 408 || status == 425) return TokenErrorKind::kTemporary;
  if (code == "invalid_grant") return TokenErrorKind::kInvalidGrant;
  if (code == "slow_down") return TokenErrorKind::kRateLimited;
  if (code == "temporarily_unavailable" || code == "server_error") return TokenErrorKind::kTemporary;
  return TokenErrorKind::kRejected;
}

absl::string_view Advice(TokenErrorKind kind, int status, absl::string_view code) {
  switch (kind) {
    case TokenErrorKind::kInvalidGrant:
      return "what was granted has ended or was withdrawn; connect again";
    case TokenErrorKind::kTemporary:
      return "it may work later";
    case TokenErrorKind::kRateLimited:
      return "there were too many requests";
    case TokenErrorKind::kRejected:
      break;
  }
  if (code == "invalid_client" || code == "unauthorized_client" || status == 401) {
    return "correct the client's id, secret and authentication in the provider's definition";
  }
  if (code == "invalid_scope") return "correct the scopes in the provider's definition";
  if (code == "unsupported_grant_type") return "correct the grant in the provider's definition";
  if (status == 404 || status == 405) return "correct the URL in the provider's definition";
  return "correct the provider's definition or the client that is registered there";
}

TokenError Describe(const HttpResponse& response, absl::Time now, std::string code, const std::string& words) {
  TokenError error;
  error.kind = KindOf(response.status, code);
  if (error.kind == TokenErrorKind::kRateLimited || error.kind == TokenErrorKind::kTemporary) {
    error.retry_after = ParseRetryAfter(response.Header("Retry-After"), now);
  }
  error.message = absl::StrCat("the provider answered ", response.status, code.empty() ? "" : " `", code,
                               code.empty() ? "" : "`", words.empty() ? "" : " (", words, words.empty() ? "" : ")",
                               ": ", Advice(error.kind, response.status, code));
  error.code = std::move(code);
  return error;
}

}  // namespace

TokenError ErrorOfDocument(const Document& document, const HttpResponse& response, const v1::OauthResponse& rules,
                           absl::Time now, const std::vector<absl::string_view>& secrets) {
  const absl::string_view path = rules.error_path().empty() ? "error" : absl::string_view(rules.error_path());
  absl::string_view code = document.TextAt(path);
  absl::string_view words = document.TextAt(
      rules.error_description_path().empty() ? "error_description" : absl::string_view(rules.error_description_path()));
  // Some wrap the code: {"error": {"code": ..., "message": ...}}.
  const Document* const wrapped = document.Find(path);
  if (wrapped != nullptr && wrapped->is_object()) {
    for (const char* name : {"code", "type", "status"}) {
      if (code.empty()) code = wrapped->TextAt(name);
    }
    if (words.empty()) words = wrapped->TextAt("message");
  }
  return Describe(response, now, Code(code, secrets), Words(words, secrets));
}

TokenError ReadErrorResponse(const HttpResponse& response, const v1::OauthResponse& rules, absl::Time now,
                             const std::vector<absl::string_view>& secrets) {
  if (response.status >= 300 && response.status <= 399) {
    TokenError error;
    error.kind = TokenErrorKind::kRejected;
    error.message = absl::StrCat("the provider answered ", response.status,
                                 ", a redirect, which is never followed with secrets: put the final URL into the "
                                 "provider's definition");
    return error;
  }
  const absl::StatusOr<Document> document = Document::ParseResponse(response, rules.format());
  if (document.ok() && document->is_object()) return ErrorOfDocument(*document, response, rules, now, secrets);
  return Describe(response, now, "", "");
}

TokenError ErrorOfSending(const absl::Status& status) {
  TokenError error;
  const bool definition = absl::IsInvalidArgument(status) || absl::IsPermissionDenied(status);
  error.kind = definition ? TokenErrorKind::kRejected : TokenErrorKind::kTemporary;
  error.message = absl::StrCat("the provider could not be asked: ", status.message());
  return error;
}

}  // namespace keyferry::server
