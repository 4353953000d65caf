#ifndef KEYFERRY_SERVER_HTTP_NAME_RESOLVER_H_
#define KEYFERRY_SERVER_HTTP_NAME_RESOLVER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/http/address_guard.h"

namespace keyferry::server {

// Finds the addresses of host names. Thread-safe.
class NameResolver {
 public:
  using Done = std::function<void(absl::StatusOr<std::vector<IpAddress>>)>;

  // Every `done` that was not called yet is called with CANCELLED, or dropped, before this returns.
  virtual ~NameResolver() = default;

  // Calls `done` once, on any thread, perhaps before it returns, with one address or more in the order in which they
  // are to be tried, or UNAVAILABLE. `done` must not block.
  virtual void Resolve(const std::string& host, Done done) = 0;
};

// Asks as the machine is configured (/etc/hosts and the servers of /etc/resolv.conf, read for every name), with
// c-ares: all names on one thread, so that a name whose servers do not answer delays no other and none delays the end.
absl::StatusOr<std::unique_ptr<NameResolver>> MakeSystemResolver();

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_NAME_RESOLVER_H_
