#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/config/sections.h"
#include "server/http/ip_address.h"
#include "server/http/url.h"

namespace keyferry::server {

absl::Status CompleteMetrics(const config::Tls& tls, config::Metrics* metrics) {
  if (metrics->tls().cert_file().empty() != metrics->tls().key_file().empty()) {
    return absl::InvalidArgumentError(
        "of `metrics.tls.cert_file` and `metrics.tls.key_file` one is set and the other is not; set both or none");
  }
  if (metrics->listen().empty()) return absl::OkStatus();
  if (metrics->tls().cert_file().empty()) {
    metrics->mutable_tls()->set_cert_file(tls.cert_file());
    metrics->mutable_tls()->set_key_file(tls.key_file());
  }
  const absl::StatusOr<SocketAddress> listen = ParseListenAddress(metrics->listen());
  if (listen.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("`metrics.listen` ", listen.status().message()));
}

}  // namespace keyferry::server
