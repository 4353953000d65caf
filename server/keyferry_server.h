#ifndef KEYFERRY_SERVER_KEYFERRY_SERVER_H_
#define KEYFERRY_SERVER_KEYFERRY_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "metrics/exposition.h"
#include "server/certificates/certificate_files.h"
#include "server/config/config.pb.h"
#include "server/directory/common.h"
#include "server/identity/external/identity_trust.h"
#include "server/limits/call_limits.h"
#include "server/log.h"
#include "server/oauth/oauth.h"
#include "server/rpc/executor.h"
#include "server/rpc/grpc_server.h"
#include "server/watch/watch_hub.h"
#include "storage/store.h"

namespace keyferry::server {

struct KeyferryServerOptions {
  GrpcServerOptions grpc;
  Executor::Options changes;
  // No limits unless they are set.
  CallRates rates;
  WatchOptions watch;
  // Where audit entries are streamed to: a file's path, "stdout", or "" for nowhere.
  std::string audit_stream;
  OauthOptions oauth;
  // Complete (CompleteIdentity).
  config::Identity identity;
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
  // What browsers reach.
  const Oauth& oauth() const;
  storage::Store* store() const;

  // The certificates that it shows to clients of the API and to browsers, for connections from now on; and when those
  // end that it started with.
  absl::Status SetGrpcCertificate(const LoadedCertificate& certificate);
  absl::Status SetHttpCertificate(const LoadedCertificate& certificate);
  absl::Time grpc_first_not_after() const;

  // What is wrong so that no call is served, or OK. UNAVAILABLE: it drains, or the store takes nothing more.
  absl::Status Ready() const;

  // What there is to measure.
  void WriteMetrics(metrics::Exposition* out) const;

  // Opens the file of the audit stream again by its name, after a rotation.
  void ReopenAuditStream();

  // Whose word is taken besides API tokens (complete). PrepareIdentity changes nothing: INVALID_ARGUMENT names a CA
  // file that cannot be used, UNAVAILABLE an issuer whose keys cannot be read within some seconds, FAILED_PRECONDITION
  // what takes effect only at a start. UseIdentity then takes it: watches of those who are not trusted any more end.
  // For one thread at a time. CANCELLED as soon as `give_up` says so.
  absl::StatusOr<IdentityTrust> PrepareIdentity(const config::Identity& identity,
                                                const std::function<bool()>& give_up = nullptr) const;
  void UseIdentity(IdentityTrust trust);

  // How many calls are taken, from the next one on.
  void SetRates(const CallRates& rates);

  // Drains the API, finishes what was accepted and writes what is buffered. The store is closed by the destructor.
  void Drain(absl::Duration grace);

 private:
  struct Parts;
  explicit KeyferryServer(std::unique_ptr<Parts> parts);

  const std::unique_ptr<Parts> parts_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_KEYFERRY_SERVER_H_
