#ifndef KEYFERRY_SERVER_RESOLUTION_SERVER_CACHE_H_
#define KEYFERRY_SERVER_RESOLUTION_SERVER_CACHE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "keyferry/v1/mcp_servers.pb.h"
#include "server/names.h"
#include "server/resolution/scope_plan.h"
#include "storage/records/typed.h"
#include "storage/store.h"

namespace keyferry::server {

// What resolution needs of one MCP server. Holds no value.
struct ServerBindings {
  std::vector<Binding> bindings;
  bool has_static = false;
};

// In the order of the definition.
ServerBindings BindingsOf(const v1::McpServer& definition);

// The whole stored definition, static values included. Null if there is none.
using StoredServer = storage::Wiped<v1::McpServer>;
absl::StatusOr<std::unique_ptr<StoredServer>> ReadServer(const storage::StoreView& view, const ChildName& name);

// Keeps the bindings of MCP servers, never a static value, while no commit touches their table. Bounded. Thread-safe.
class ServerCache {
 public:
  explicit ServerCache(size_t max_servers = 16384) : max_servers_(max_servers) {}

  // The bindings as `view` holds them, or newer ones if they were just changed; null if there is no such MCP server.
  // `generation` is that of kMcpServer, read
  // before the view was taken. `resource` is the server's full name.
  absl::StatusOr<std::shared_ptr<const ServerBindings>> Get(const storage::StoreView& view, uint64_t generation,
                                                            const ChildName& name, const std::string& resource)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  const size_t max_servers_;
  absl::Mutex mutex_;
  uint64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, std::shared_ptr<const ServerBindings>> servers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RESOLUTION_SERVER_CACHE_H_
