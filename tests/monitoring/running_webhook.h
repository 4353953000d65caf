#ifndef KEYFERRY_TESTS_MONITORING_RUNNING_WEBHOOK_H_
#define KEYFERRY_TESTS_MONITORING_RUNNING_WEBHOOK_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "server/http/testing_tls.h"
#include "tests/harness/child_process.h"
#include "tests/harness/exposition_reader.h"

namespace keyferry::testing {

// A real `keyferry-injector webhook` on loopback ports, with a certificate of a test's own. Its program is named by the
// environment variable KEYFERRY_INJECTOR, which the test's target sets.
class RunningWebhook {
 public:
  // Null, and the test has failed, if it does not come up. `directory` takes its files.
  static std::unique_ptr<RunningWebhook> Start(const std::string& directory);

  // What /metrics says.
  Scrape Take() const;
  // A client of the webhook itself.
  std::unique_ptr<server::RawPeer> Connect() const;
  // Gives it another certificate, and has it look.
  void IssueFor(absl::Duration time);

 private:
  explicit RunningWebhook(const std::string& directory) : directory_(directory) {}

  void WriteCertificate(absl::Duration time) const;

  const std::string directory_;
  const server::TestCa ca_;
  std::unique_ptr<ChildProcess> process_;
  uint16_t port_ = 0;
  uint16_t metrics_port_ = 0;
};

}  // namespace keyferry::testing

#endif  // KEYFERRY_TESTS_MONITORING_RUNNING_WEBHOOK_H_
