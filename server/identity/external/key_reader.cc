#include "server/identity/external/key_reader.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/files.h"
#include "server/http/url.h"
#include "server/identity/external/blocking_fetch.h"
#include "server/identity/jwt/json_member.h"
#include "server/oauth/protocol/document.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

class FileKeyReader : public KeyReader {
 public:
  explicit FileKeyReader(std::string path) : path_(std::move(path)) {}

  absl::StatusOr<std::string> Read() override {
    ASSIGN_OR_RETURN(const storage::SecretBytes text, ReadSmallFile(path_));
    return std::string(text.Expose());
  }
  void Stop() override {}

 private:
  const std::string path_;
};

class HttpKeyReader : public KeyReader {
 public:
  HttpKeyReader(const config::Issuer& issuer, const AddressGuard& guard) : issuer_(issuer), guard_(guard) {}

  absl::StatusOr<std::string> Read() override {
    if (!issuer_.jwks_url().empty()) return FetchConfigured(issuer_.jwks_url());
    const std::string url = absl::StrCat(absl::StripSuffix(issuer_.issuer(), "/"), "/.well-known/openid-configuration");
    ASSIGN_OR_RETURN(const std::string text, FetchConfigured(url));
    absl::StatusOr<Document> document = Document::ParseJson(text);
    if (!document.ok()) {
      return absl::UnavailableError(absl::StrCat("the discovery document: ", document.status().message()));
    }
    if (MemberText(*document, "issuer") != issuer_.issuer()) {
      return absl::FailedPreconditionError("the discovery document is of another issuer");
    }
    const std::string jwks_uri(MemberText(*document, "jwks_uri"));
    ASSIGN_OR_RETURN(const HttpsUrl keys, ParseHttpsUrl(jwks_uri));
    ASSIGN_OR_RETURN(const HttpsUrl own, ParseHttpsUrl(issuer_.issuer()));
    if (keys.Authority() == own.Authority()) return FetchConfigured(jwks_uri);
    return fetch_.Get(jwks_uri, issuer_.ca_file(), /*bearer_token_file=*/"", guard_);
  }

  void Stop() override { fetch_.Stop(); }

 private:
  absl::StatusOr<std::string> FetchConfigured(const std::string& url) {
    return fetch_.Get(url, issuer_.ca_file(), issuer_.token_file(), AddressGuard::ForConfiguredHosts());
  }

  const config::Issuer issuer_;
  const AddressGuard guard_;
  BlockingFetch fetch_;
};

}  // namespace

std::unique_ptr<KeyReader> MakeKeyReader(const config::Issuer& issuer, const AddressGuard& guard) {
  if (!issuer.jwks_file().empty()) return std::make_unique<FileKeyReader>(issuer.jwks_file());
  return std::make_unique<HttpKeyReader>(issuer, guard);
}

}  // namespace keyferry::server
