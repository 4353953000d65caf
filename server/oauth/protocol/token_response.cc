#include "server/oauth/protocol/token_response.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/oauth/protocol/document.h"
#include "server/oauth/protocol/encoding.h"
#include "server/oauth/protocol/error_response.h"
#include "server/oauth/protocol/expiry.h"

namespace keyferry::server {
namespace {

constexpr size_t kMaxTokenBytes = 16 * 1024;
constexpr size_t kMaxScopes = 256;
constexpr size_t kMaxScopeBytes = 512;
constexpr size_t kMaxMetadataBytes = 4096;

absl::string_view Or(const std::string& path, absl::string_view usual) { return path.empty() ? usual : path; }

bool IsToken(absl::string_view text) {
  return text.size() <= kMaxTokenBytes &&
         std::all_of(text.begin(), text.end(), [](char c) { return absl::ascii_isprint(c); });
}

// Sender-constrained tokens (RFC 9449, RFC 7800): useless to a process that is given the token alone.
bool NeedsProof(absl::string_view type) {
  return absl::EqualsIgnoreCase(type, "mac") || absl::EqualsIgnoreCase(type, "dpop") ||
         absl::EqualsIgnoreCase(type, "pop");
}

std::vector<std::string> ReadScopes(const Document* found, absl::string_view separator) {
  std::vector<std::string> scopes;
  if (found == nullptr) return scopes;
  const auto add = [&scopes](absl::string_view scope) {
    if (scope.empty() || scope.size() > kMaxScopeBytes || scopes.size() >= kMaxScopes) return;
    if (!std::all_of(scope.begin(), scope.end(), [](char c) { return absl::ascii_isprint(c); })) return;
    if (std::find(scopes.begin(), scopes.end(), scope) == scopes.end()) scopes.emplace_back(scope);
  };
  if (found->kind() == Document::Kind::kArray) {
    for (const auto& [name, value] : found->members()) {
      if (value.is_string()) add(value.text());
    }
  } else if (found->is_string()) {
    // Providers that want commas in the request answer with spaces, and the other way round.
    const std::string separators = absl::StrCat(" ,", separator);
    for (const absl::string_view scope : absl::StrSplit(found->text(), absl::ByAnyChar(separators))) add(scope);
  }
  return scopes;
}

void ReadMetadata(const Document& document, const v1::OauthResponse& rules, TokenGrant* grant) {
  for (const v1::OauthParameter& wanted : rules.metadata()) {
    const absl::string_view text = document.TextAt(wanted.value());
    if (text.empty() || text.size() > kMaxMetadataBytes) continue;
    // Metadata is shown; a token never is, whatever path leads to it.
    if (text == grant->access_token.Expose() || text == grant->refresh_token.Expose()) continue;
    if (std::any_of(text.begin(), text.end(), [](char c) { return absl::ascii_iscntrl(c); })) continue;
    grant->metadata[wanted.name()] = std::string(text);
  }
}

TokenError Malformed(absl::string_view problem) {
  TokenError error;
  error.message = absl::StrCat("the provider's answer is no token response: ", problem);
  return error;
}

// Of a success whose access token is of no use: the refresh token in it counts nevertheless.
TokenError WithRotated(absl::string_view refresh_token, TokenError error) {
  if (!refresh_token.empty() && IsToken(refresh_token)) {
    error.rotated_refresh_token =
        std::make_shared<const storage::SecretBytes>(storage::SecretBytes::CopyOf(refresh_token));
  }
  return error;
}

}  // namespace

TokenResult ReadTokenResponse(const HttpResponse& response, const ResponseRules& rules, absl::Time now,
                              const std::vector<absl::string_view>& secrets) {
  const v1::OauthResponse& paths = rules.response;
  if (response.status < 200 || response.status > 299) return ReadErrorResponse(response, paths, now, secrets);
  const absl::StatusOr<Document> document = Document::ParseResponse(response, paths.format());
  if (!document.ok()) return Malformed(document.status().message());
  if (!document->is_object() && document->kind() != Document::Kind::kArray) return Malformed("it is no object");
  if (!paths.success_path().empty() && document->TextAt(paths.success_path()) != paths.success_value()) {
    return ErrorOfDocument(*document, response, paths, now, secrets);
  }
  const Document* const access = document->Find(Or(paths.access_token_path(), "access_token"));
  const absl::string_view refresh = document->TextAt(Or(paths.refresh_token_path(), "refresh_token"));
  if (access == nullptr || access->text().empty()) {
    if (document->Find(Or(paths.error_path(), "error")) != nullptr) {
      return ErrorOfDocument(*document, response, paths, now, secrets);
    }
    return WithRotated(refresh, Malformed("there is no access token where the definition says"));
  }
  if (!access->is_string() || !IsToken(access->text())) {
    return WithRotated(refresh, Malformed("the access token is no printable text of at most 16 KiB"));
  }
  if (!IsToken(refresh)) return Malformed("the refresh token is no printable text of at most 16 KiB");
  if (NeedsProof(document->TextAt("token_type"))) {
    TokenError error;
    error.kind = TokenErrorKind::kRejected;
    error.message =
        "the provider gives tokens that need a proof of possession; the client must be set to bearer tokens";
    return WithRotated(refresh, std::move(error));
  }

  TokenGrant grant;
  grant.access_token = storage::SecretBytes::CopyOf(access->text());
  grant.refresh_token = storage::SecretBytes::CopyOf(refresh);
  grant.lifetime = LifetimeOf(document->TextAt(Or(paths.expiry_path(), "expires_in")), paths.expiry_format(), now);
  grant.scopes = ReadScopes(document->Find(Or(paths.scope_path(), "scope")), rules.scope_separator);
  ReadMetadata(*document, paths, &grant);
  return grant;
}

}  // namespace keyferry::server
