#ifndef KEYFERRY_INJECTOR_WEBHOOK_METRICS_LISTENER_H_
#define KEYFERRY_INJECTOR_WEBHOOK_METRICS_LISTENER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace keyferry::injector::webhook {

// Serves GET /metrics over HTTP without TLS, on an address of its own: one request per connection, of at most 8 KiB, in
// at most `time`. At most kConnections are held; a new one then takes the place of the oldest, so that whoever holds
// connections keeps nobody out. Thread-safe.
class MetricsListener {
 public:
  static constexpr size_t kConnections = 16;

  // Answers Prometheus's text; called on the listener's thread, and must not wait for long.
  using Source = std::function<std::string()>;

  // Listens on `address`, "IP:PORT". INVALID_ARGUMENT for the address, UNAVAILABLE if it cannot be listened on.
  static absl::StatusOr<std::unique_ptr<MetricsListener>> Start(const std::string& address, Source source,
                                                                absl::Duration time = absl::Seconds(10));
  // No call of the source is under way when it returns.
  ~MetricsListener();

  uint16_t port() const;

 private:
  class Core;

  explicit MetricsListener(std::unique_ptr<Core> core);

  const std::unique_ptr<Core> core_;
};

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_METRICS_LISTENER_H_
