#ifndef KEYFERRY_SERVER_CERTIFICATES_CERTIFICATE_FILES_H_
#define KEYFERRY_SERVER_CERTIFICATES_CERTIFICATE_FILES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {

// PEM files of a listener.
struct CertificateFiles {
  std::string cert_file;
  std::string key_file;
  // CAs of clients' certificates; "" if clients need none.
  std::string client_ca_file;

  std::vector<std::string> Paths() const;
};

// What they held at one time, found good for TLS.
struct LoadedCertificate {
  // With its chain.
  std::string certificate;
  storage::SecretBytes key;
  std::string client_ca;
  // When the first certificate of the chain to do so ends.
  absl::Time not_after;
};

// INVALID_ARGUMENT, or the error of a file, says which file is wrong and why.
absl::StatusOr<LoadedCertificate> LoadCertificate(const CertificateFiles& files);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_CERTIFICATES_CERTIFICATE_FILES_H_
