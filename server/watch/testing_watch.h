#ifndef KEYFERRY_SERVER_WATCH_TESTING_WATCH_H_
#define KEYFERRY_SERVER_WATCH_TESTING_WATCH_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "server/credentials/testing_world.h"
#include "server/mcpservers/mcp_server_rules.h"
#include "server/oauth/testing_refresher.h"
#include "server/processes/process_table.h"
#include "server/resolution/resolver.h"
#include "server/watch/watch_hub.h"

namespace keyferry::server {

// Testonly. Keeps what one watcher is sent. A message stays in flight until Ack.
class RecordingSink : public WatchSink {
 public:
  void Write(storage::Wiped<v1::WatchResponse> message) override;
  void Finish(const absl::Status& status) override;

  // Takes the messages that came since the last call, in words: "env TOKEN=v2:value", "problem MISSING_VARIABLES",
  // "heartbeat", "end NOT_FOUND"; joined by "; ". Ends the test if a revision did not grow.
  std::string Take();

  bool in_flight = false;
  int messages = 0;
  storage::Revision revision = 0;
  absl::Status end = absl::UnknownError("still open");

 private:
  std::vector<std::string> words_;
};

// Testonly. A hub without threads over World, with clocks that tests move.
class WatchWorld {
 public:
  explicit WatchWorld(storage::EngineKind engine = storage::EngineKind::kMemory, WatchOptions options = NoThreads());
  ~WatchWorld();
  static WatchOptions NoThreads();

  // Applies as an ADMIN; each binding is "VARIABLE=CREDENTIAL" from org_secret, "VARIABLE:LITERAL" or
  // "VARIABLE@PROVIDER".
  void Apply(const std::string& name, const std::vector<std::string>& bindings, const std::string& arg = "");
  void Rotate(const std::string& credential, const std::string& value);
  void Delete(const std::string& credential);
  // Sets the credential of the user's own.
  void Override(const std::string& user, const std::string& id, const std::string& value);

  // Opens a watch as the user. Owned by this.
  struct Watch {
    RecordingSink sink;
    WatchId id = 0;
    absl::Status opened;
  };
  Watch* Open(const std::string& user, const v1::WatchRequest& request);
  Watch* Open(const std::string& user, const std::string& mcp_server, storage::Revision resume = 0);

  // Lets the hub notice every commit so far and do what is due; messages are acknowledged unless `slow`.
  void Settle();
  // The same after `by` on the monotonic clock; what was committed before counts from before.
  void Pass(absl::Duration by);
  // The number of stored resolutions.
  int UsageEvents();

  World world;
  // By user; what the caller source answers for them. Others are as World makes them.
  std::map<std::string, absl::StatusOr<Caller>> callers;
  bool slow = false;
  absl::Time monotonic = absl::UnixEpoch() + absl::Hours(1);
  McpServerRules servers;
  ProcessTable processes;
  Resolver resolver;
  FakeRefresher refresher;
  std::unique_ptr<WatchHub> hub;

 private:
  void Notice();
  absl::StatusOr<std::shared_ptr<const Caller>> CallerOf(const std::string& token_hash);
  void Ack();

  std::vector<std::unique_ptr<Watch>> watches_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_WATCH_TESTING_WATCH_H_
