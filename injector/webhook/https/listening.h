#ifndef KEYFERRY_INJECTOR_WEBHOOK_HTTPS_LISTENING_H_
#define KEYFERRY_INJECTOR_WEBHOOK_HTTPS_LISTENING_H_

#include <boost/asio/ip/tcp.hpp>
#include <string>

#include "absl/status/status.h"

namespace keyferry::injector::webhook {

// Has `acceptor` listen on `address`, "IP:PORT", an IPv6 address in brackets. INVALID_ARGUMENT if that is none,
// UNAVAILABLE if it cannot be listened on.
absl::Status ListenOn(const std::string& address, boost::asio::ip::tcp::acceptor& acceptor);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_HTTPS_LISTENING_H_
