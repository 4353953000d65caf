#ifndef KEYFERRY_SERVER_IDENTITY_EXTERNAL_SPIFFE_TRUST_H_
#define KEYFERRY_SERVER_IDENTITY_EXTERNAL_SPIFFE_TRUST_H_

#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "openssl/x509.h"
#include "server/log.h"

namespace keyferry::server {

// The CAs of one trust domain of SPIFFE, from a PEM file that is looked at again after `look_again`. A file that cannot
// be read, or in which any certificate is broken, replaces nothing; one without certificates means that nobody is
// trusted any more. The log tells of each once. Thread-safe.
class SpiffeTrust {
 public:
  // `logger` must outlive this.
  SpiffeTrust(std::string trust_domain, std::string bundle_file, Logger* logger,
              absl::Duration look_again = absl::Seconds(5));

  const std::string& trust_domain() const { return trust_domain_; }
  const std::string& bundle_file() const { return bundle_file_; }

  // Changes with the CAs: what was verified before has to be verified again.
  uint64_t Generation(absl::Time now) ABSL_LOCKS_EXCLUDED(mutex_);

  // OK if the chain (PEM, the client's certificate first) leads to one of the CAs at `now`, and its first certificate
  // is an X.509-SVID: no CA, and no key that signs certificates. PERMISSION_DENIED says why not; UNAVAILABLE if the
  // bundle was never readable.
  absl::Status Verify(absl::string_view pem_chain, absl::Time now) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void LookAgain(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes what the file holds now; the error says why it was not taken.
  absl::Status ReadBundle() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string trust_domain_;
  const std::string bundle_file_;
  Logger* const logger_;
  const absl::Duration look_again_;

  absl::Mutex mutex_;
  absl::Time looked_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  std::string content_ ABSL_GUARDED_BY(mutex_);
  // What the log was told last.
  std::string problem_ ABSL_GUARDED_BY(mutex_);
  uint64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;
  bssl::UniquePtr<X509_STORE> store_ ABSL_GUARDED_BY(mutex_);
};

// What a client's certificate says of itself; nothing in it is verified.
struct CertificateClaims {
  // "" unless it has exactly one URI among its alternative names (X.509-SVID, section 2) and that is a well-formed
  // SPIFFE ID of at most 2048 bytes with a path.
  std::string spiffe_id;
  std::string trust_domain;
  absl::Time expire_time;
};

// PERMISSION_DENIED if the first certificate of the PEM text cannot be read or has no SPIFFE ID.
absl::StatusOr<CertificateClaims> ReadCertificateClaims(absl::string_view pem_chain);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_EXTERNAL_SPIFFE_TRUST_H_
