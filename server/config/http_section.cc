#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/config/sections.h"
#include "server/http/ip_address.h"
#include "server/http/url.h"
#include "server/status_macros.h"

namespace keyferry::server {

absl::Status CompleteHttp(const config::Tls& tls, config::Http* http) {
  if (http->tls().cert_file().empty() != http->tls().key_file().empty()) {
    return absl::InvalidArgumentError(
        "of `http.tls.cert_file` and `http.tls.key_file` one is set and the other is not; set both or none");
  }
  if (http->tls().cert_file().empty() && !http->listen().empty()) {
    http->mutable_tls()->set_cert_file(tls.cert_file());
    http->mutable_tls()->set_key_file(tls.key_file());
  }
  if (!http->public_url().empty()) {
    const absl::StatusOr<HttpsUrl> origin = ParseHttpsOrigin(http->public_url());
    if (!origin.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("`http.public_url`: ", origin.status().message(), "; it is e.g. https://keyferry.example.com"));
    }
    http->set_public_url(absl::StrCat("https://", origin->Authority()));
  }
  if (http->listen().empty()) return absl::OkStatus();
  const absl::StatusOr<SocketAddress> listen = ParseListenAddress(http->listen());
  if (!listen.ok()) return absl::InvalidArgumentError(absl::StrCat("`http.listen` ", listen.status().message()));
  // With port 0 only the listener knows it.
  if (!http->public_url().empty() || listen->port == 0) return absl::OkStatus();
  if (listen->address.IsUnspecified()) {
    return absl::InvalidArgumentError(
        "`http.public_url` is not set, and `http.listen` is no address that browsers can reach; set it in the "
        "configuration file or with --http-public-url");
  }
  ASSIGN_OR_RETURN(const HttpsUrl origin, ParseHttpsOrigin(absl::StrCat("https://", http->listen())));
  http->set_public_url(absl::StrCat("https://", origin.Authority()));
  return absl::OkStatus();
}

}  // namespace keyferry::server
