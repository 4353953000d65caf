#include "server/resolution/when_refreshed.h"

#include <memory>
#include <utility>

namespace keyferry::server {
namespace {

// Ends with the last answer.
struct Waiting {
  explicit Waiting(std::function<void()> d) : done(std::move(d)) {}
  ~Waiting() { done(); }
  const std::function<void()> done;
};

}  // namespace

void WhenRefreshed(ConnectionRefresher* refresher, const std::vector<ConnectionKey>& connections,
                   std::function<void()> done) {
  // A refresher that drops an answer ends the wait too.
  const auto waiting = std::make_shared<Waiting>(std::move(done));
  for (const ConnectionKey& key : connections) {
    refresher->Refresh(key, /*force=*/false, [waiting](const absl::Status&) {});
  }
}

}  // namespace keyferry::server
