#ifndef KEYFERRY_SERVER_HTTP_HTTP_HANDLER_H_
#define KEYFERRY_SERVER_HTTP_HTTP_HANDLER_H_

#include <functional>
#include <string>

#include "absl/time/time.h"
#include "server/http/http_client.h"

namespace keyferry::server {

// A request that the HTTPS listener received. `url` is the path with its query, as it was sent.
struct ReceivedRequest {
  HttpRequest request;
  // Of the connection, e.g. "203.0.113.7:50314".
  std::string peer;

  // The cookie's value, "" if there is none of that name.
  std::string Cookie(absl::string_view name) const;
};

// Answers requests. Called on a thread of the listener, which it must not block for long; `respond` may be called
// later, once, on any thread. The listener adds the headers of security (docs/security.md).
using HttpHandler = std::function<void(ReceivedRequest request, std::function<void(HttpResponse)> respond)>;

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_HTTP_HANDLER_H_
