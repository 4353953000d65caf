#ifndef KEYFERRY_SERVER_HTTP_TLS_H_
#define KEYFERRY_SERVER_HTTP_TLS_H_

#include <openssl/ssl.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/http/http_client.h"
#include "server/http/url.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {

// A context for TLS 1.2 and later, ECDHE with AEAD ciphers only, that offers HTTP/1.1 and verifies the server against
// the CAs of the files; an empty name is left out. INVALID_ARGUMENT for a file that holds no CA, or if there is none.
absl::StatusOr<bssl::UniquePtr<SSL_CTX>> MakeClientTls(const std::string& ca_bundle, const std::string& ca_file);

// A context for TLS 1.2 and later that shows the certificate. PEM; the chain follows the certificate, the key is not
// encrypted. INVALID_ARGUMENT says what is wrong.
absl::StatusOr<bssl::UniquePtr<SSL_CTX>> MakeServerTls(const std::string& certificate, const storage::SecretBytes& key);

// Names the server that `ssl` connects to and lets the handshake fail unless the certificate is of that name, or of
// that IP address, among its subject alternative names (RFC 9525; the subject's common name does not count).
absl::Status ExpectServer(const HttpsUrl& url, SSL* ssl);

// Shows a client certificate where the server asks for one. INVALID_ARGUMENT if it cannot be used.
absl::Status UseIdentity(const HttpClientIdentity& identity, SSL* ssl);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_TLS_H_
