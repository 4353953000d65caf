#include "server/http/tls.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "openssl/bio.h"
#include "openssl/err.h"
#include "openssl/evp.h"
#include "openssl/pem.h"
#include "openssl/x509.h"
#include "openssl/x509v3.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr char kCiphers[] = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr uint8_t kHttp11[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};

struct CertificateAndKey {
  std::vector<bssl::UniquePtr<X509>> chain;
  bssl::UniquePtr<EVP_PKEY> key;
};

absl::StatusOr<CertificateAndKey> ReadPem(absl::string_view certificate, absl::string_view key) {
  CertificateAndKey read;
  const bssl::UniquePtr<BIO> certificates(BIO_new_mem_buf(certificate.data(), static_cast<int>(certificate.size())));
  while (certificates != nullptr) {
    bssl::UniquePtr<X509> next(PEM_read_bio_X509(certificates.get(), nullptr, nullptr, nullptr));
    if (next == nullptr) break;
    read.chain.push_back(std::move(next));
  }
  const bssl::UniquePtr<BIO> keys(BIO_new_mem_buf(key.data(), static_cast<int>(key.size())));
  // An encrypted key must fail rather than ask on a terminal.
  const auto no_password = [](char*, int, int, void*) { return 0; };
  if (keys != nullptr) read.key.reset(PEM_read_bio_PrivateKey(keys.get(), nullptr, no_password, nullptr));
  // The end of a PEM text is an error of the queue, which the next operation of TLS on this thread must not find.
  ERR_clear_error();
  if (read.chain.empty()) return absl::InvalidArgumentError("the certificate is no PEM certificate that can be read");
  if (read.key == nullptr) {
    return absl::InvalidArgumentError("the private key is no unencrypted PEM private key that can be read");
  }
  if (X509_check_private_key(read.chain[0].get(), read.key.get()) != 1) {
    ERR_clear_error();
    return absl::InvalidArgumentError("the private key does not belong to the certificate");
  }
  return read;
}

bool SetCommon(SSL_CTX* context) {
  return context != nullptr && SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
         SSL_CTX_set_strict_cipher_list(context, kCiphers) == 1;
}

int SelectHttp11(SSL*, const uint8_t** out, uint8_t* out_size, const uint8_t* in, unsigned in_size, void*) {
  uint8_t* selected = nullptr;
  if (SSL_select_next_proto(&selected, out_size, in, in_size, kHttp11, sizeof(kHttp11)) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *out = selected;
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

absl::StatusOr<bssl::UniquePtr<SSL_CTX>> MakeClientTls(const std::string& ca_bundle, const std::string& ca_file) {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
  if (!SetCommon(context.get()) || SSL_CTX_set_alpn_protos(context.get(), kHttp11, sizeof(kHttp11)) != 0) {
    return absl::InternalError("TLS cannot be set up");
  }
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  bool trusts = false;
  for (const std::string& file : {ca_bundle, ca_file}) {
    if (file.empty()) continue;
    const bool loaded = SSL_CTX_load_verify_locations(context.get(), file.c_str(), nullptr) == 1;
    ERR_clear_error();
    if (!loaded) {
      return absl::InvalidArgumentError(absl::StrCat("`", file, "` holds no PEM certificate that can be read"));
    }
    trusts = true;
  }
  if (!trusts) return absl::InvalidArgumentError("no file of certificate authorities is named");
  return context;
}

absl::StatusOr<bssl::UniquePtr<SSL_CTX>> MakeServerTls(const std::string& certificate,
                                                       const storage::SecretBytes& key) {
  ASSIGN_OR_RETURN(const CertificateAndKey read, ReadPem(certificate, key.Expose()));
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()));
  if (!SetCommon(context.get())) return absl::InternalError("TLS cannot be set up");
  SSL_CTX_set_alpn_select_cb(context.get(), SelectHttp11, nullptr);
  bool used = SSL_CTX_use_certificate(context.get(), read.chain[0].get()) == 1 &&
              SSL_CTX_use_PrivateKey(context.get(), read.key.get()) == 1;
  for (size_t i = 1; i < read.chain.size(); ++i) {
    used = used && SSL_CTX_add1_chain_cert(context.get(), read.chain[i].get()) == 1;
  }
  ERR_clear_error();
  if (!used) return absl::InvalidArgumentError("the certificate or its key is of a kind that TLS cannot use");
  return context;
}

absl::Status ExpectServer(const HttpsUrl& url, SSL* ssl) {
  X509_VERIFY_PARAM* const expected = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_hostflags(expected, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  const bool set = url.host_is_address ? X509_VERIFY_PARAM_set1_ip_asc(expected, url.host.c_str()) == 1
                                       : X509_VERIFY_PARAM_set1_host(expected, url.host.data(), url.host.size()) == 1 &&
                                             SSL_set_tlsext_host_name(ssl, url.host.c_str()) == 1;
  return set ? absl::OkStatus() : absl::InternalError("TLS cannot be set up");
}

absl::Status UseIdentity(const HttpClientIdentity& identity, SSL* ssl) {
  absl::StatusOr<CertificateAndKey> read = ReadPem(identity.certificate, identity.private_key.Expose());
  if (!read.ok()) return absl::InvalidArgumentError(absl::StrCat("client certificate: ", read.status().message()));
  bool used = SSL_use_certificate(ssl, read->chain[0].get()) == 1 && SSL_use_PrivateKey(ssl, read->key.get()) == 1;
  for (size_t i = 1; i < read->chain.size(); ++i) used = used && SSL_add1_chain_cert(ssl, read->chain[i].get()) == 1;
  ERR_clear_error();
  if (!used) return absl::InvalidArgumentError("client certificate: of a kind that TLS cannot use");
  return absl::OkStatus();
}

}  // namespace keyferry::server
