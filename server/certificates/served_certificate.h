#ifndef KEYFERRY_SERVER_CERTIFICATES_SERVED_CERTIFICATE_H_
#define KEYFERRY_SERVER_CERTIFICATES_SERVED_CERTIFICATE_H_

#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/certificates/certificate_files.h"

namespace keyferry::server {

// The certificate that a listener shows, as it is read again while the listener runs. Thread-safe.
class ServedCertificate {
 public:
  // Hands a certificate to the listener, for the connections from then on. An error means that it keeps the old one.
  using Use = std::function<absl::Status(const LoadedCertificate&)>;

  // `not_after` is of the certificate that the listener shows now.
  ServedCertificate(CertificateFiles files, absl::Time not_after, std::function<absl::Time()> clock, Use use)
      : clock_(std::move(clock)), use_(std::move(use)), files_(std::move(files)), not_after_(not_after) {}

  // Reads the files and uses what they hold. An error says which file is wrong and why, and nothing has changed: of
  // files that cannot be used, that do not belong together, or whose certificate has ended.
  absl::Status Reload() ABSL_LOCKS_EXCLUDED(reload_mutex_, mutex_);

  // Other files, from the next Reload on.
  void SetFiles(CertificateFiles files) ABSL_LOCKS_EXCLUDED(mutex_);
  CertificateFiles files() const ABSL_LOCKS_EXCLUDED(mutex_);
  // When the certificate ends that is shown.
  absl::Time not_after() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const std::function<absl::Time()> clock_;
  const Use use_;
  // Held while files are read, without mutex_: whoever asks when the certificate ends does not wait for them.
  absl::Mutex reload_mutex_ ABSL_ACQUIRED_BEFORE(mutex_);
  mutable absl::Mutex mutex_;
  CertificateFiles files_ ABSL_GUARDED_BY(mutex_);
  absl::Time not_after_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_CERTIFICATES_SERVED_CERTIFICATE_H_
