#include "server/rpc/pem_files.h"

#include "absl/strings/str_cat.h"
#include "openssl/bio.h"
#include "openssl/evp.h"
#include "openssl/pem.h"
#include "openssl/x509.h"

namespace keyferry::server {
namespace {

bssl::UniquePtr<X509> ReadCertificate(const std::string& path) {
  bssl::UniquePtr<BIO> file(BIO_new_file(path.c_str(), "r"));
  if (file == nullptr) return nullptr;
  return bssl::UniquePtr<X509>(PEM_read_bio_X509(file.get(), nullptr, nullptr, nullptr));
}

bssl::UniquePtr<EVP_PKEY> ReadKey(const std::string& path) {
  bssl::UniquePtr<BIO> file(BIO_new_file(path.c_str(), "r"));
  if (file == nullptr) return nullptr;
  // An encrypted key must fail rather than ask on a terminal.
  const auto no_password = [](char*, int, int, void*) { return 0; };
  return bssl::UniquePtr<EVP_PKEY>(PEM_read_bio_PrivateKey(file.get(), nullptr, no_password, nullptr));
}

}  // namespace

absl::Status CheckCertificateFiles(const std::string& cert_file, const std::string& key_file) {
  const bssl::UniquePtr<X509> certificate = ReadCertificate(cert_file);
  if (certificate == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("`", cert_file, "` holds no PEM certificate that can be read; set tls.cert_file to one"));
  }
  const bssl::UniquePtr<EVP_PKEY> key = ReadKey(key_file);
  if (key == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "`", key_file, "` holds no unencrypted PEM private key that can be read; set tls.key_file to one"));
  }
  if (X509_check_private_key(certificate.get(), key.get()) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("the key in `", key_file, "` does not belong to the certificate in `", cert_file, "`"));
  }
  return absl::OkStatus();
}

absl::Status CheckCaFile(const std::string& ca_file) {
  if (ReadCertificate(ca_file) != nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("`", ca_file, "` holds no PEM certificate that can be read; set tls.client_ca_file to one"));
}

}  // namespace keyferry::server
