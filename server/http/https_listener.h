#ifndef KEYFERRY_SERVER_HTTP_HTTPS_LISTENER_H_
#define KEYFERRY_SERVER_HTTP_HTTPS_LISTENER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/http/http_handler.h"
#include "server/http/https_connection.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {

// Serves browsers: HTTP/1.1 (RFC 9112) over TLS 1.2 or later with Boost.Beast on BoringSSL. Thread-safe.
//
// - A request has at most 16 KiB of head (431) and 64 KiB of body (413), is a GET, HEAD or POST (405) in origin form
//   with exactly one Host header (400) that names this server (421, so that no other name that is made to point here,
//   by DNS rebinding, gets an answer), and arrives within HttpsDeadlines (408). Transfer-Encoding next to
//   Content-Length is refused (400). A connection that has sent nothing is closed without an answer.
// - A handler that has not answered in time is answered for (504); one that drops its `respond`, or answers with what
//   cannot be sent, is answered for (500).
// - Connections are kept for further requests, one at a time; those beyond a limit are closed right away. An IPv6
//   client counts by its /64, and, with a higher limit, by its /48.
// - Every answer has the headers of server/http/answer.h.
class HttpsListener {
 public:
  struct Options {
    // See ParseListenAddress.
    std::string address = "127.0.0.1:0";
    // The https origin under which browsers reach it; "": the address that it listens on.
    std::string public_url;
    // Answers under every name. For what no browser keeps a secret for: monitoring reaches a server by an address that
    // the server does not know.
    bool any_host = false;
    int max_connections = 512;
    int max_connections_per_address = 32;
    // Of an IPv6 /48.
    int max_connections_per_network = 128;
    int max_requests_per_connection = 100;
    HttpsDeadlines deadlines;
  };

  // Listens. The certificate and its key are PEM (server/http/tls.h). INVALID_ARGUMENT for an option, certificate or
  // key, UNAVAILABLE if the address cannot be listened on.
  static absl::StatusOr<std::unique_ptr<HttpsListener>> Start(const Options& options, const std::string& certificate,
                                                              const storage::SecretBytes& key, HttpHandler handler);

  // Drain(0). `respond`s that handlers still hold stay safe to call.
  ~HttpsListener();

  uint16_t port() const;
  // "https://host:port", without a path.
  std::string public_url() const;

  // For the connections from now on. INVALID_ARGUMENT, and nothing changes, if they cannot be used.
  absl::Status SetCertificate(const std::string& certificate, const storage::SecretBytes& key);

  // Stops listening, closes what is idle, lets the requests that have begun to arrive be answered for up to `grace`,
  // and closes the rest. Returns when no connection is left. Not to be called by a handler.
  void Drain(absl::Duration grace);

 private:
  class Core;

  explicit HttpsListener(std::unique_ptr<Core> core);

  const std::unique_ptr<Core> core_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_HTTPS_LISTENER_H_
