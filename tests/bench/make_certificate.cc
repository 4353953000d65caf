// Writes cert.pem and key.pem into --dir: one self-signed EC P-256 certificate for 127.0.0.1, valid a day, that serves
// as CA, server and client certificate of a benchmark.
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <cstdio>
#include <memory>

#include "tests/bench/flags.h"

namespace {

void Check(bool ok, const char* what) {
  if (ok) return;
  std::cerr << "make_certificate: " << what << "\n";
  std::exit(1);
}

void Extend(X509* certificate, int nid, const char* text) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  bssl::UniquePtr<X509_EXTENSION> extension(X509V3_EXT_nconf_nid(nullptr, &context, nid, const_cast<char*>(text)));
  Check(extension != nullptr && X509_add_ext(certificate, extension.get(), -1), "extension");
}

}  // namespace

int main(int argc, char** argv) {
  auto flags = keyferry::bench::ParseFlags(argc, argv);
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  Check(EC_KEY_generate_key(ec.get()) && EVP_PKEY_set1_EC_KEY(key.get(), ec.get()), "key");
  bssl::UniquePtr<X509> certificate(X509_new());
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 24 * 3600);
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const uint8_t*>("Keyferry benchmark"), -1, -1,
                             0);
  X509_set_issuer_name(certificate.get(), name);
  X509_set_pubkey(certificate.get(), key.get());
  Extend(certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
  Extend(certificate.get(), NID_key_usage, "critical,digitalSignature,keyCertSign");
  Extend(certificate.get(), NID_ext_key_usage, "serverAuth,clientAuth");
  Extend(certificate.get(), NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
  Check(X509_sign(certificate.get(), key.get(), EVP_sha256()), "signature");

  const auto write = [&](const char* file, auto&& pem) {
    std::unique_ptr<FILE, int (*)(FILE*)> out(std::fopen((flags["dir"] + "/" + file).c_str(), "wxe"), std::fclose);
    Check(out != nullptr && chmod((flags["dir"] + "/" + file).c_str(), 0600) == 0 && pem(out.get()), file);
  };
  write("cert.pem", [&](FILE* out) { return PEM_write_X509(out, certificate.get()); });
  write("key.pem",
        [&](FILE* out) { return PEM_write_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
  return 0;
}
