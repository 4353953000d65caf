#include "server/certificates/certificate_files.h"

#include "absl/strings/str_cat.h"
#include "metrics/certificate_end.h"
#include "server/files.h"
#include "server/http/tls.h"
#include "server/rpc/pem_files.h"
#include "server/status_macros.h"

namespace keyferry::server {
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
  loaded.not_after = metrics::EndOfChain(loaded.certificate);
  return loaded;
}

}  // namespace keyferry::server
