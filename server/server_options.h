#ifndef KEYFERRY_SERVER_SERVER_OPTIONS_H_
#define KEYFERRY_SERVER_SERVER_OPTIONS_H_

#include "server/config/config.pb.h"
#include "server/keyferry_server.h"
#include "server/limits/call_limits.h"
#include "server/metrics/metrics_listener.h"

namespace keyferry::server {

// What the configuration, complete, makes of a server's options.
KeyferryServerOptions ServerOptions(const config::Config& config);
CallRates RatesOf(const config::Limits& limits);
MetricsListener::Options MetricsOptions(const config::Metrics& metrics);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_SERVER_OPTIONS_H_
