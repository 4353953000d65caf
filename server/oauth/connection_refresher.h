#ifndef KEYFERRY_SERVER_OAUTH_CONNECTION_REFRESHER_H_
#define KEYFERRY_SERVER_OAUTH_CONNECTION_REFRESHER_H_

#include <functional>
#include <string>

#include "absl/status/status.h"

namespace keyferry::server {

// Names one connection: `parent` is that of its RecordKey, e.g. "users/ada".
struct ConnectionKey {
  std::string org;
  std::string parent;
  std::string provider;

  friend bool operator==(const ConnectionKey& a, const ConnectionKey& b) {
    return a.org == b.org && a.parent == b.parent && a.provider == b.provider;
  }
  template <typename H>
  friend H AbslHashValue(H state, const ConnectionKey& key) {
    return H::combine(std::move(state), key.org, key.parent, key.provider);
  }
};

// Gets fresh access tokens into the store. Thread-safe.
class ConnectionRefresher {
 public:
  virtual ~ConnectionRefresher() = default;

  // Calls `done`, on a thread that it may not block, once the connection's token is fresh: at once if it is, else after
  // the exchange that all simultaneous askers share. `force` asks for an exchange although the token still looks valid,
  // unless the last one was within 10 seconds.
  //
  // NOT_FOUND (no such connection), FAILED_PRECONDITION with reason CONNECT_NEEDED, UNAVAILABLE with reason
  // PROVIDER_UNAVAILABLE and a retry delay. OK is said only once the new token is durable.
  virtual void Refresh(const ConnectionKey& key, bool force, std::function<void(absl::Status)> done) = 0;

  // A connection was made, changed or deleted: its next attempt is looked at again. For changes that this process made;
  // those of others are noticed by themselves.
  virtual void Changed(const ConnectionKey& key) = 0;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CONNECTION_REFRESHER_H_
