#include "server/oauth/protocol/discovery.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "server/oauth/protocol/deadline.h"
#include "server/oauth/protocol/metadata_document.h"

namespace keyferry::server {
namespace {

// `/.well-known/{name}` between the host and the path (RFC 8414, section 3.1; RFC 9728, section 3.1), and after both
// (OpenID Connect Discovery 1.0, section 4.1).
std::string InsertWellKnown(absl::string_view identifier, absl::string_view name) {
  const absl::string_view at = absl::StripSuffix(identifier, "/");
  const size_t path = std::min(at.size(), at.find('/', sizeof("https://") - 1));
  return absl::StrCat(at.substr(0, path), "/.well-known/", name, at.substr(path));
}
std::string AppendWellKnown(absl::string_view identifier, absl::string_view name) {
  return absl::StrCat(absl::StripSuffix(identifier, "/"), "/.well-known/", name);
}

void AddOnce(std::vector<std::string>* urls, std::string url) {
  if (std::find(urls->begin(), urls->end(), url) == urls->end()) urls->push_back(std::move(url));
}

class Discovery : public std::enable_shared_from_this<Discovery> {
 public:
  using Done = std::function<void(absl::StatusOr<DiscoveredMetadata>)>;

  Discovery(HttpClient* http, const v1::OauthEndpoints& endpoints, absl::Duration timeout, Done done)
      : http_(http), deadline_(timeout), done_(std::move(done)) {
    found_.endpoints = endpoints;
  }

  void Start() {
    if (!found_.endpoints.issuer().empty()) return AskServer();
    if (found_.endpoints.resource().empty()) return Finish();
    const std::string resource = found_.endpoints.resource();
    const absl::Status valid = CheckIdentifier(resource, "the resource");
    if (!valid.ok()) return Fail(valid);
    // A resource with a path may describe itself at its host as well (RFC 9728, section 3.1).
    AddOnce(&urls_, InsertWellKnown(resource, "oauth-protected-resource"));
    const std::string origin = resource.substr(0, resource.find('/', sizeof("https://") - 1));
    AddOnce(&urls_, InsertWellKnown(origin, "oauth-protected-resource"));
    AskNext(&Discovery::OnResource);
  }

 private:
  using Then = void (Discovery::*)(const Document& document);

  void AskServer() {
    const std::string& issuer = found_.endpoints.issuer();
    const absl::Status valid = CheckIdentifier(issuer, "the issuer");
    if (!valid.ok()) return Fail(valid);
    urls_.clear();
    tried_.clear();
    AddOnce(&urls_, InsertWellKnown(issuer, "oauth-authorization-server"));
    AddOnce(&urls_, InsertWellKnown(issuer, "openid-configuration"));
    AddOnce(&urls_, AppendWellKnown(issuer, "openid-configuration"));
    AskNext(&Discovery::OnServer);
  }

  // Asks the first of `urls_` that is left; what is not found there is looked for at the next.
  void AskNext(Then then) {
    if (urls_.empty()) {
      return Fail(absl::FailedPreconditionError(absl::StrCat(
          "no metadata was found (tried ", absl::StrJoin(tried_, ", "),
          "): correct the identifier, or give the endpoints themselves", problem_.empty() ? "" : "; ", problem_)));
    }
    HttpRequest request;
    request.url = urls_.front();
    request.headers = {{"Accept", "application/json"}};
    tried_.push_back(request.url);
    urls_.erase(urls_.begin());
    http_->Send(std::move(request), deadline_.Remaining(),
                [self = shared_from_this(), then](absl::StatusOr<HttpResponse> response) {
                  self->OnResponse(std::move(response), then);
                });
  }

  void OnResponse(absl::StatusOr<HttpResponse> response, Then then) {
    if (!response.ok()) {
      const absl::Status& status = response.status();
      const bool wrong =
          absl::IsInvalidArgument(status) || absl::IsPermissionDenied(status) || absl::IsResourceExhausted(status);
      const std::string message = absl::StrCat("the metadata could not be read: ", status.message());
      return Fail(wrong ? absl::FailedPreconditionError(message) : absl::UnavailableError(message));
    }
    if (response->status >= 500 || response->status == 429) {
      return Fail(
          absl::UnavailableError(absl::StrCat(tried_.back(), " answered ", response->status, ": it may work later")));
    }
    if (response->status != 200) {
      problem_ = absl::StrCat("the last one answered ", response->status,
                              response->status / 100 == 3 ? ", a redirect, which is not followed" : "");
      return AskNext(then);
    }
    const absl::StatusOr<Document> document = Document::ParseJson(response->body);
    if (!document.ok() || !document->is_object()) {
      problem_ = absl::StrCat("the last one answered something else: ",
                              document.ok() ? "it is no object" : document.status().message());
      return AskNext(then);
    }
    (this->*then)(*document);
  }

  void OnResource(const Document& document) {
    std::string issuer;
    const absl::Status status = ReadResourceMetadata(document, found_.endpoints.resource(), &found_, &issuer);
    if (!status.ok()) {
      // A host's own document is not that of the resource with a path, and the other way round.
      problem_ = std::string(status.message());
      return AskNext(&Discovery::OnResource);
    }
    found_.endpoints.set_issuer(issuer);
    problem_.clear();
    AskServer();
  }

  void OnServer(const Document& document) {
    const absl::Status status = ReadServerMetadata(document, &found_);
    if (!status.ok()) return Fail(status);
    Finish();
  }

  void Fail(const absl::Status& status) { std::exchange(done_, nullptr)(status); }
  void Finish() { std::exchange(done_, nullptr)(std::move(found_)); }

  HttpClient* const http_;
  const Deadline deadline_;
  Done done_;
  DiscoveredMetadata found_;
  std::vector<std::string> urls_, tried_;
  std::string problem_;
};

bool Takes(const DiscoveredMetadata& metadata, v1::OauthClientAuthentication method) {
  const auto& all = metadata.authentication_methods;
  return std::find(all.begin(), all.end(), method) != all.end();
}

}  // namespace

void Discover(HttpClient* http, const v1::OauthEndpoints& endpoints, absl::Duration timeout,
              std::function<void(absl::StatusOr<DiscoveredMetadata>)> done) {
  std::make_shared<Discovery>(http, endpoints, timeout, std::move(done))->Start();
}

v1::OauthClientAuthentication PickAuthentication(const DiscoveredMetadata& metadata, const v1::OauthClient& client) {
  const v1::OauthClientAuthentication asked = client.authentication();
  if (asked == v1::OAUTH_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT ||
      asked == v1::OAUTH_CLIENT_AUTHENTICATION_TLS_CLIENT_AUTH) {
    return Takes(metadata, asked) ? asked : v1::OAUTH_CLIENT_AUTHENTICATION_UNSPECIFIED;
  }
  // Public clients are often taken without being named.
  if (client.client_secret().empty()) return v1::OAUTH_CLIENT_AUTHENTICATION_NONE;
  for (const auto method :
       {v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC, v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST}) {
    if (Takes(metadata, method)) return method;
  }
  return v1::OAUTH_CLIENT_AUTHENTICATION_UNSPECIFIED;
}

}  // namespace keyferry::server
