#ifndef KEYFERRY_SERVER_HTTP_HTTP_CLIENT_H_
#define KEYFERRY_SERVER_HTTP_HTTP_CLIENT_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// A client certificate and its key, for mutual TLS. PEM; the chain may follow the certificate.
struct HttpClientIdentity {
  std::string certificate;
  storage::SecretBytes private_key;
};

// One request. URL, headers and body may hold secrets: they are wiped with it.
struct HttpRequest {
  HttpRequest() = default;
  HttpRequest(HttpRequest&&) = default;
  HttpRequest& operator=(HttpRequest&&) = default;
  ~HttpRequest();

  std::string method = "GET";
  // https, without user information and fragment.
  std::string url;
  // Besides Host, Content-Length, User-Agent, Accept-Encoding and Connection, which the client sets.
  HttpHeaders headers;
  std::string body;
  std::shared_ptr<const HttpClientIdentity> identity;
};

// One answer, of any status. Wiped with its end.
struct HttpResponse {
  HttpResponse() = default;
  HttpResponse(HttpResponse&&) = default;
  HttpResponse& operator=(HttpResponse&&) = default;
  ~HttpResponse();

  int status = 0;
  HttpHeaders headers;
  std::string body;

  // Value of the first header of that name, in any case; "" if there is none.
  absl::string_view Header(absl::string_view name) const;
};

// Sends requests to servers that people name. Never follows a redirect, always verifies the server's certificate, and
// connects to no address that is private, loopback, link-local or otherwise not public, unless configured. Thread-safe.
class HttpClient {
 public:
  using Done = std::function<void(absl::StatusOr<HttpResponse>)>;

  virtual ~HttpClient() = default;

  // Calls `done` once, on any thread, perhaps before it returns; `done` must not block.
  //
  // INVALID_ARGUMENT (the URL), PERMISSION_DENIED (the address is not allowed), UNAVAILABLE (name, connection, TLS or a
  // malformed answer; the message says which), DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED (the answer is too large, or too
  // many requests are under way), CANCELLED (the client is shutting down). Messages hold the host, never the URL's path
  // or query, a header or a body.
  virtual void Send(HttpRequest request, absl::Duration timeout, Done done) = 0;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_HTTP_CLIENT_H_
