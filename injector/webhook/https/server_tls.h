#ifndef KEYFERRY_INJECTOR_WEBHOOK_HTTPS_SERVER_TLS_H_
#define KEYFERRY_INJECTOR_WEBHOOK_HTTPS_SERVER_TLS_H_

#include <openssl/ssl.h>

#include <string>

#include "absl/status/statusor.h"
#include "client/secret_text.h"

namespace keyferry::injector::webhook {

// A context for TLS 1.2 and later, ECDHE with AEAD ciphers only, that shows `certificate` (PEM, its chain after it)
// with its unencrypted key and speaks HTTP/1.1. With `client_ca` (PEM), only clients whose certificate it signed are
// let in. INVALID_ARGUMENT says what is wrong.
absl::StatusOr<bssl::UniquePtr<SSL_CTX>> MakeServerTls(const std::string& certificate, const client::SecretText& key,
                                                       const std::string& client_ca);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_HTTPS_SERVER_TLS_H_
