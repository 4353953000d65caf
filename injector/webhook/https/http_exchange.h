#ifndef KEYFERRY_INJECTOR_WEBHOOK_HTTPS_HTTP_EXCHANGE_H_
#define KEYFERRY_INJECTOR_WEBHOOK_HTTPS_HTTP_EXCHANGE_H_

#include <functional>
#include <string>

#include "absl/time/time.h"

namespace keyferry::injector::webhook {

// Whether the server lives: asked by those who have no certificate, as kubelets.
inline constexpr char kHealthPath[] = "/healthz";

struct HttpAsked {
  std::string method;
  // The path, with a query if there is one.
  std::string target;
  std::string body;
  // When it had come.
  absl::Time received;
};

struct HttpAnswer {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

// Called on threads of its own, several at once; may wait for other servers for as long as a client would wait for it.
using HttpHandler = std::function<HttpAnswer(const HttpAsked& asked)>;

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_HTTPS_HTTP_EXCHANGE_H_
