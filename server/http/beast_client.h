#ifndef KEYFERRY_SERVER_HTTP_BEAST_CLIENT_H_
#define KEYFERRY_SERVER_HTTP_BEAST_CLIENT_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/http/address_guard.h"
#include "server/http/http_client.h"
#include "server/http/name_resolver.h"
#include "server/http/request_slots.h"

namespace keyferry::server {

// The HttpClient of the server: HTTP/1.1 over TLS (RFC 9112, RFC 9110) with Boost.Beast on BoringSSL, one connection
// for each request and one thread for all of them.
//
// - TLS 1.2 or later; the certificate is always verified for the host of the URL (server/http/tls.h).
// - A host's addresses are looked up once, checked by `guard`, and only a checked one is connected to, the next one if
//   it does not let itself be connected to. No redirect is followed and no proxy used.
// - An answer has at most 32 KiB of headers and `max_body` of body; an interim answer (1xx) is passed over. A body
//   without a length must end with TLS's own end of the connection, so that nobody can shorten it.
// - Requests that exceed `limits.running` wait, which counts against their timeout; beyond `limits.waiting` they end
//   with RESOURCE_EXHAUSTED.
class BeastClient : public HttpClient {
 public:
  struct Options {
    // Of the CAs that are trusted, PEM; "" for none but those of `ca_file`.
    std::string ca_bundle = "/etc/ssl/certs/ca-certificates.crt";
    // Further CAs; "" for none.
    std::string ca_file;
    AddressGuard guard;
    size_t max_body = 1 << 20;
    RequestSlots::Limits limits;
    std::string user_agent = "Keyferry";
    // Null: the system's.
    std::unique_ptr<NameResolver> resolver;
  };

  // INVALID_ARGUMENT names the CA file that cannot be read.
  static absl::StatusOr<std::unique_ptr<BeastClient>> Create(Options options);

  // Ends every request with CANCELLED and waits for their `done` to return. Not to be called within a `done`.
  ~BeastClient() override;

  void Send(HttpRequest request, absl::Duration timeout, Done done) override;

  // Ends every request with CANCELLED, those too that are sent from now on. Does not wait for their `done`. For whoever
  // waits for answers and is to end. May be called by any thread, also within a `done`.
  void CancelAll();

 private:
  class Core;

  explicit BeastClient(std::unique_ptr<Core> core);

  const std::unique_ptr<Core> core_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_BEAST_CLIENT_H_
