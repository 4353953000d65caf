#ifndef KEYFERRY_SERVER_OAUTH_CONNECT_CONNECT_HANDLER_H_
#define KEYFERRY_SERVER_OAUTH_CONNECT_CONNECT_HANDLER_H_

#include <functional>
#include <string>

#include "server/http/http_handler.h"
#include "server/limits/call_limits.h"
#include "server/limits/rate_limiter.h"
#include "server/oauth/connect/connect_flow.h"
#include "server/rpc/executor.h"

namespace keyferry::server {

struct ConnectHandlerOptions {
  // As ConnectContext::public_url.
  std::string public_url;
  // Requests of one address; an IPv6 address counts with all of its /64.
  Rate rate = {5, 40};
  MonotonicClock clock = SteadyNanos;
  // Whether the server is about to end: what has waited for its turn until then is answered 503. Null: never.
  std::function<bool()> ending;
};

// Answers the pages of connecting:
//
//   GET  /oauth/start?t=SECRET  shows who started which connection, and the confirmation code. Changes nothing.
//   POST /oauth/start           confirms, and sends the browser to the provider
//   GET  /oauth/callback/ID     where the provider of that id sends it back to
//   GET  /oauth/connect?org=ORG&provider=PROVIDER  how to connect, whether there are such or not
//
// A form counts only from the page that this browser was shown: it carries a token that is bound to a cookie. Nothing
// runs on the listener's thread: all work is put on `executor`, in the group of its address. `flow` and `executor` must
// outlive the handler and the requests that it was given.
HttpHandler MakeConnectHandler(ConnectFlow* flow, Executor* executor, ConnectHandlerOptions options);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CONNECT_CONNECT_HANDLER_H_
