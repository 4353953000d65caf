#ifndef KEYFERRY_INJECTOR_WEBHOOK_CERTIFICATE_FILES_H_
#define KEYFERRY_INJECTOR_WEBHOOK_CERTIFICATE_FILES_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "injector/webhook/https/https_listener.h"

namespace keyferry::injector::webhook {

// The files of a TlsIdentity, and what they held last. Not thread-safe.
class CertificateFiles {
 public:
  struct Paths {
    std::string certificate;
    std::string key;
    // "" where there is none.
    std::string client_ca;
  };

  explicit CertificateFiles(Paths paths) : paths_(std::move(paths)) {}

  // Reads them. INVALID_ARGUMENT, "what: where; what to do"; the key must not be readable by others than its group.
  absl::StatusOr<TlsIdentity> Read();

  // Reads them again and, if they hold something else than what was last used, hands it to `use`. What `use` refuses,
  // or a pair of files of which only one was replaced yet, is tried again at the next call, and its error is answered
  // once. True if there is a new identity.
  absl::StatusOr<bool> Reload(const std::function<absl::Status(const TlsIdentity&)>& use);

 private:
  // Tells contents apart without keeping them.
  static std::string Digest(const TlsIdentity& identity);

  const Paths paths_;
  std::string used_;
  std::string complained_of_;
};

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_CERTIFICATE_FILES_H_
