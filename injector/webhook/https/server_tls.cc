#include "injector/webhook/https/server_tls.h"

#include <vector>

#include "absl/strings/string_view.h"
#include "openssl/bio.h"
#include "openssl/err.h"
#include "openssl/pem.h"
#include "openssl/x509.h"

namespace keyferry::injector::webhook {
namespace {

constexpr char kCiphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";

// BoringSSL leaves the end of a PEM text in the thread's queue of errors, where the next handshake would find it.
class ClearErrors {
 public:
  ~ClearErrors() { ERR_clear_error(); }
};

bssl::UniquePtr<BIO> Reader(absl::string_view pem) {
  return bssl::UniquePtr<BIO>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

std::vector<bssl::UniquePtr<X509>> ReadCertificates(absl::string_view pem) {
  std::vector<bssl::UniquePtr<X509>> read;
  const bssl::UniquePtr<BIO> reader = Reader(pem);
  while (X509* const next = PEM_read_bio_X509(reader.get(), nullptr, nullptr, nullptr)) read.emplace_back(next);
  return read;
}

// Fails for an encrypted key, rather than to ask on a terminal.
int NoPassword(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*unused*/) { return 0; }

int SelectProtocol(SSL* /*ssl*/, const uint8_t** out, uint8_t* out_size, const uint8_t* in, unsigned in_size,
                   void* /*unused*/) {
  static constexpr uint8_t kProtocol[] = "\x08http/1.1";
  uint8_t* chosen = nullptr;
  const int found = SSL_select_next_proto(&chosen, out_size, in, in_size, kProtocol, sizeof(kProtocol) - 1);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

bool Trust(SSL_CTX* context, absl::string_view client_ca) {
  const std::vector<bssl::UniquePtr<X509>> authorities = ReadCertificates(client_ca);
  for (const bssl::UniquePtr<X509>& authority : authorities) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1 ||
        SSL_CTX_add_client_CA(context, authority.get()) != 1) {
      return false;
    }
  }
  // One that is shown must be good; who shows none is only told of the server's health (HttpsConnection).
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  return !authorities.empty();
}

}  // namespace

absl::StatusOr<bssl::UniquePtr<SSL_CTX>> MakeServerTls(const std::string& certificate, const client::SecretText& key,
                                                       const std::string& client_ca) {
  const ClearErrors clear;
  const std::vector<bssl::UniquePtr<X509>> chain = ReadCertificates(certificate);
  if (chain.empty()) return absl::InvalidArgumentError("the certificate is no PEM certificate that can be read");
  const bssl::UniquePtr<EVP_PKEY> private_key(
      PEM_read_bio_PrivateKey(Reader(key.Expose()).get(), nullptr, NoPassword, nullptr));
  if (private_key == nullptr) {
    return absl::InvalidArgumentError("the key is no unencrypted PEM private key that can be read");
  }
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_strict_cipher_list(context.get(), kCiphers) != 1) {
    return absl::InternalError("TLS cannot be set up");
  }
  if (SSL_CTX_use_certificate(context.get(), chain[0].get()) != 1 ||
      SSL_CTX_use_PrivateKey(context.get(), private_key.get()) != 1) {
    return absl::InvalidArgumentError(
        "the key does not belong to the certificate, or is of a kind that TLS cannot use");
  }
  for (size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context.get(), chain[i].get()) != 1) {
      return absl::InvalidArgumentError("the certificate's chain cannot be used");
    }
  }
  SSL_CTX_set_alpn_select_cb(context.get(), SelectProtocol, nullptr);
  if (!client_ca.empty() && !Trust(context.get(), client_ca)) {
    return absl::InvalidArgumentError("the clients' CA is no PEM certificate that can be read");
  }
  return context;
}

}  // namespace keyferry::injector::webhook
