#ifndef KEYFERRY_SERVER_HTTP_ROUTER_H_
#define KEYFERRY_SERVER_HTTP_ROUTER_H_

#include <functional>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "server/http/http_handler.h"

namespace keyferry::server {

// Finds the handler of a request by its method and path, without the query and as it was sent: nothing is decoded or
// normalized, so that "/a/../b" and "/%61" are paths of their own, which have no handler. Answers 404 for a path that
// has none and 405 with Allow for a method that the path does not have. A handler of GET also serves HEAD; the listener
// leaves the body out. Routes are added first, then it is used by any number of threads.
class Router {
 public:
  // For the very path, e.g. Exact("GET", "/oauth/start", ...).
  void Exact(const std::string& method, const std::string& path, HttpHandler handler);
  // For every path that starts with `prefix`, which ends in "/". A longer prefix and an exact path go first.
  void Prefix(const std::string& method, const std::string& prefix, HttpHandler handler);

  void Handle(ReceivedRequest request, std::function<void(HttpResponse)> respond) const;

 private:
  using Methods = std::map<std::string, HttpHandler>;

  const Methods* Find(const std::string& path) const;

  std::map<std::string, Methods> exact_;
  std::map<std::string, Methods> prefixes_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_ROUTER_H_
