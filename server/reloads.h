#ifndef KEYFERRY_SERVER_RELOADS_H_
#define KEYFERRY_SERVER_RELOADS_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "metrics/exposition.h"
#include "server/certificates/file_watch.h"
#include "server/certificates/served_certificate.h"
#include "server/config/config.pb.h"
#include "server/keyferry_server.h"
#include "server/log.h"
#include "server/metrics/metrics_listener.h"

namespace keyferry::server {

// What of a running server changes without a restart: certificates and the token of monitoring whenever their files
// change, the configuration when it is told to. Whatever cannot be used is told and leaves what there was. Watches the
// KEK's file besides: one that would not open the store any more is better known before the next start.
class Reloads {
 public:
  struct Parts {
    KeyferryServer* server = nullptr;
    // Null if monitoring is not served.
    MetricsListener* metrics = nullptr;
    Logger* logger = nullptr;
    std::function<absl::Time()> clock;
    // Whether the server is asked to stop, so that a reload waits for nothing. May be null.
    std::function<bool()> stopping = nullptr;
  };
  // The configuration as it is now, complete.
  using Load = std::function<absl::StatusOr<config::Config>()>;

  // `config` is what the server runs with. All parts must outlive this.
  Reloads(config::Config config, Load load, const Parts& parts, absl::Duration interval);
  ~Reloads();

  // Reads everything again. For one thread at a time.
  void Reload();

  // The configuration that the server runs with.
  const config::Config& config() const { return config_; }

  void WriteMetrics(metrics::Exposition* out) const;

 private:
  void Serve(const std::string& listener, CertificateFiles files, absl::Time not_after, ServedCertificate::Use use);
  void AddMonitoring();
  void AddKek();
  absl::Status CheckKek() ABSL_LOCKS_EXCLUDED(kek_mutex_);
  // FAILED_PRECONDITION if what the listeners ask of their clients is another.
  absl::Status CheckWithoutRestart(const config::Config& next) const;
  absl::Status ReadConfig();
  void SetFiles(const std::string& listener, CertificateFiles files);

  const Load load_;
  const Parts parts_;
  config::Config config_;
  absl::Mutex kek_mutex_;
  config::KeyProvider kek_ ABSL_GUARDED_BY(kek_mutex_);
  std::atomic<bool> kek_usable_{true};
  // By listener.
  std::map<std::string, std::unique_ptr<ServedCertificate>> certificates_;
  // Last: its thread uses the rest.
  FileWatch files_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RELOADS_H_
