#ifndef KEYFERRY_INJECTOR_WEBHOOK_HTTPS_HTTPS_LISTENER_H_
#define KEYFERRY_INJECTOR_WEBHOOK_HTTPS_HTTPS_LISTENER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/secret_text.h"
#include "injector/webhook/https/http_exchange.h"
#include "injector/webhook/https/listener_limits.h"

namespace keyferry::injector::webhook {

// What the listener shows to its clients, and whom it trusts. PEM; `client_ca` is empty where every client is let in.
struct TlsIdentity {
  std::string certificate;
  client::SecretText key;
  std::string client_ca;
};

// Serves HTTP/1.1 over TLS (see server_tls.h) within ListenerLimits. At the limit a new connection takes
// the place of the one that has been unused for longest, of one that never had an answer before others while these are
// many, and is refused only if all are being answered; requests that
// are too long, too many or unreadable are answered with 400, 413, 431 or 503. Thread-safe.
class HttpsListener {
 public:
  // Listens on `address`, "IP:PORT". INVALID_ARGUMENT for the address or the identity, UNAVAILABLE if the address
  // cannot be listened on.
  static absl::StatusOr<std::unique_ptr<HttpsListener>> Start(const std::string& address, const TlsIdentity& identity,
                                                              const ListenerLimits& limits, HttpHandler handler);

  // Drain(0).
  ~HttpsListener();

  uint16_t port() const;
  // Connections that are open.
  int connections() const;
  // Requests that no handler was asked for: too long, too many at once, unreadable or without a certificate.
  uint64_t turned_away() const;

  // For the connections from now on. INVALID_ARGUMENT, and nothing changes, if it cannot be used.
  absl::Status SetIdentity(const TlsIdentity& identity);

  // Stops listening, closes what is idle, lets requests that have begun be answered for up to `grace`, and closes the
  // rest. Returns when no connection is left. Not to be called by a handler.
  void Drain(absl::Duration grace);

 private:
  class Core;

  explicit HttpsListener(std::unique_ptr<Core> core);

  const std::unique_ptr<Core> core_;
};

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_HTTPS_HTTPS_LISTENER_H_
