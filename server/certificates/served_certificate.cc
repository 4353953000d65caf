#include "server/certificates/served_certificate.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/status_macros.h"

namespace keyferry::server {

absl::Status ServedCertificate::Reload() {
  absl::MutexLock reload(&reload_mutex_);
  const CertificateFiles files = this->files();
  ASSIGN_OR_RETURN(const LoadedCertificate loaded, LoadCertificate(files));
  if (loaded.not_after <= clock_()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the certificate in `", files.cert_file, "` ended at ",
                     absl::FormatTime(absl::RFC3339_sec, loaded.not_after, absl::UTCTimeZone())));
  }
  RETURN_IF_ERROR(use_(loaded));
  absl::MutexLock lock(&mutex_);
  not_after_ = loaded.not_after;
  return absl::OkStatus();
}

void ServedCertificate::SetFiles(CertificateFiles files) {
  absl::MutexLock lock(&mutex_);
  files_ = std::move(files);
}

CertificateFiles ServedCertificate::files() const {
  absl::MutexLock lock(&mutex_);
  return files_;
}

absl::Time ServedCertificate::not_after() const {
  absl::MutexLock lock(&mutex_);
  return not_after_;
}

}  // namespace keyferry::server
