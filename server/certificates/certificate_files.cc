#include "server/certificates/certificate_files.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "openssl/asn1.h"
#include "openssl/bio.h"
#include "openssl/err.h"
#include "openssl/pem.h"
#include "openssl/x509.h"
#include "server/files.h"
#include "server/http/tls.h"
#include "server/rpc/pem_files.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

absl::Time EndOf(const X509& certificate) {
  const bssl::UniquePtr<ASN1_TIME> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0;
  int seconds = 0;
  if (ASN1_TIME_diff(&days, &seconds, epoch.get(), X509_get0_notAfter(&certificate)) != 1) return absl::InfinitePast();
  return absl::UnixEpoch() + absl::Hours(24) * days + absl::Seconds(seconds);
}

absl::Time EndOfChain(const std::string& pem) {
  absl::Time end = absl::InfiniteFuture();
  const bssl::UniquePtr<BIO> text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  while (text != nullptr) {
    const bssl::UniquePtr<X509> next(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
    if (next == nullptr) break;
    end = std::min(end, EndOf(*next));
  }
  ERR_clear_error();
  return end;
}

}  // namespace

std::vector<std::string> CertificateFiles::Paths() const {
  std::vector<std::string> paths = {cert_file, key_file};
  if (!client_ca_file.empty()) paths.push_back(client_ca_file);
  return paths;
}

absl::StatusOr<LoadedCertificate> LoadCertificate(const CertificateFiles& files) {
  // For what they say of each file.
  RETURN_IF_ERROR(CheckCertificateFiles(files.cert_file, files.key_file));
  if (!files.client_ca_file.empty()) RETURN_IF_ERROR(CheckCaFile(files.client_ca_file));
  LoadedCertificate loaded;
  ASSIGN_OR_RETURN(const storage::SecretBytes certificate, ReadSmallFile(files.cert_file));
  ASSIGN_OR_RETURN(loaded.key, ReadSmallFile(files.key_file));
  loaded.certificate = std::string(certificate.Expose());
  if (!files.client_ca_file.empty()) {
    ASSIGN_OR_RETURN(const storage::SecretBytes client_ca, ReadSmallFile(files.client_ca_file));
    loaded.client_ca = std::string(client_ca.Expose());
  }
  // Of the very bytes that will be used, which may be newer than those that were looked at before.
  const absl::Status usable = MakeServerTls(loaded.certificate, loaded.key).status();
  if (!usable.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("`", files.cert_file, "` with `", files.key_file, "`: ", usable.message()));
  }
  loaded.not_after = EndOfChain(loaded.certificate);
  return loaded;
}

}  // namespace keyferry::server
