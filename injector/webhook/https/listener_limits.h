#ifndef KEYFERRY_INJECTOR_WEBHOOK_HTTPS_LISTENER_LIMITS_H_
#define KEYFERRY_INJECTOR_WEBHOOK_HTTPS_LISTENER_LIMITS_H_

#include <cstddef>

#include "absl/time/time.h"

namespace keyferry::injector::webhook {

// What a client may take of the listener, however slow or many they are.
struct ListenerLimits {
  int connections = 256;
  size_t head_bytes = 16 << 10;
  size_t body_bytes = 3 << 20;
  // Of the bodies of all requests that are being received or answered.
  size_t all_body_bytes = 64 << 20;
  absl::Duration handshake = absl::Seconds(10);
  // Until the next request begins. Longer than the 90 seconds for which Kubernetes keeps a connection that
  // it does not use, so that it is not closed just when a request is sent.
  absl::Duration idle = absl::Seconds(120);
  absl::Duration head = absl::Seconds(10);
  absl::Duration body = absl::Seconds(10);
  absl::Duration write = absl::Seconds(10);
};

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_HTTPS_LISTENER_LIMITS_H_
