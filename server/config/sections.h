#ifndef KEYFERRY_SERVER_CONFIG_SECTIONS_H_
#define KEYFERRY_SERVER_CONFIG_SECTIONS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/config/config.pb.h"

namespace keyferry::server {

// What CompleteConfig asks of each section, one file for each: fills in defaults and checks. INVALID_ARGUMENT names the
// key and what is wrong with it.

// That a key which a start needs is not set.
absl::Status MissingKey(absl::string_view path);

absl::Status CheckKeyProviders(const config::Config& config);
absl::Status CompleteLimits(config::Limits* limits);
// The rates among the limits.
absl::Status CompleteRates(config::Limits* limits);
// Where browsers are served and under which name; `tls` is that of the API.
absl::Status CompleteHttp(const config::Tls& tls, config::Http* http);
// Where monitoring is served; `tls` is that of the API.
absl::Status CompleteMetrics(const config::Tls& tls, config::Metrics* metrics);
absl::Status CheckOutbound(const config::Outbound& outbound);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_CONFIG_SECTIONS_H_
