#ifndef KEYFERRY_SERVER_METRICS_METRICS_LISTENER_H_
#define KEYFERRY_SERVER_METRICS_METRICS_LISTENER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "metrics/exposition.h"
#include "server/certificates/certificate_files.h"

namespace keyferry::server {

// Serves monitoring over HTTPS, on an address of its own, from before the store is opened until the process ends:
//
//   /metrics   Prometheus's text format; with a token file only for `Authorization: Bearer TOKEN`, otherwise 401
//   /healthz   200: the process answers
//   /readyz    200 while calls are served, otherwise 503 with the reason
//
// The probes need no token and tell nothing but that. Thread-safe.
class MetricsListener {
 public:
  struct Options {
    // See ParseListenAddress.
    std::string listen;
    CertificateFiles files;
    // "": /metrics needs no token.
    std::string token_file;
  };

  // What is served from Attach to Detach; both may be called on any thread, one at a time.
  struct Source {
    std::function<void(metrics::Exposition*)> write;
    std::function<absl::Status()> ready;
  };

  // Listens. INVALID_ARGUMENT for an option or a file, UNAVAILABLE if the address cannot be listened on.
  static absl::StatusOr<std::unique_ptr<MetricsListener>> Start(const Options& options);
  ~MetricsListener();

  void Attach(Source source);
  // Nothing of the source runs from the return on; /readyz says that the server stops.
  void Detach();

  // HOST:PORT that it listens on.
  std::string address() const;
  // When the certificate ends that it started with.
  absl::Time first_not_after() const;
  absl::Status SetCertificate(const LoadedCertificate& certificate);

  // Reads the token again. INVALID_ARGUMENT, and the old one stays, if it is shorter than 16 bytes or its file can be
  // read by everybody.
  absl::Status ReloadToken();
  // The file of the token, from the next ReloadToken on.
  void SetTokenFile(const std::string& token_file);

 private:
  class Core;
  explicit MetricsListener(std::unique_ptr<Core> core);

  const std::unique_ptr<Core> core_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_METRICS_METRICS_LISTENER_H_
