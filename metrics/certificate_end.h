#ifndef KEYFERRY_METRICS_CERTIFICATE_END_H_
#define KEYFERRY_METRICS_CERTIFICATE_END_H_

#include <string>

#include "absl/time/time.h"

namespace keyferry::metrics {

// When the first certificate of a chain (PEM) to do so ends; InfiniteFuture if there is none.
absl::Time EndOfChain(const std::string& pem);

}  // namespace keyferry::metrics

#endif  // KEYFERRY_METRICS_CERTIFICATE_END_H_
