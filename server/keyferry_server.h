#ifndef KEYFERRY_SERVER_KEYFERRY_SERVER_H_
#define KEYFERRY_SERVER_KEYFERRY_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/directory/common.h"
#include "server/log.h"
#include "server/rpc/grpc_server.h"
#include "storage/store.h"

namespace keyferry::server {

struct KeyferryServerOptions {
  GrpcServerOptions grpc;
  size_t change_threads = 64;
  size_t max_queued_changes = 1024;
  // Where audit entries are streamed to: a file's path, "stdout", or "" for nowhere.
  std::string audit_stream;
  // How long audit entries are kept.
  absl::Duration audit_retention = absl::InfiniteDuration();
};

// Everything between an open store and the network: identity, access, the domains' rules and their services.
// Thread-safe.
class KeyferryServer {
 public:
  // Takes no ownership of `logger`, which must outlive it. The API answers from the return on.
  static absl::StatusOr<std::unique_ptr<KeyferryServer>> Start(std::unique_ptr<storage::Store> store,
                                                               const KeyferryServerOptions& options,
                                                               std::function<absl::Time()> clock, Logger* logger);
  ~KeyferryServer();

  const std::string& address() const;
  storage::Store* store() const;

  // Opens the file of the audit stream again by its name, after a rotation.
  void ReopenAuditStream();

  // Drains the API, finishes what was accepted and writes what is buffered. The store is closed by the destructor.
  void Drain(absl::Duration grace);

 private:
  struct Parts;
  explicit KeyferryServer(std::unique_ptr<Parts> parts);

  const std::unique_ptr<Parts> parts_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_KEYFERRY_SERVER_H_
