#ifndef KEYFERRY_SERVER_OAUTH_OAUTH_H_
#define KEYFERRY_SERVER_OAUTH_OAUTH_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/audit/audit_log.h"
#include "server/certificates/certificate_files.h"
#include "server/http/https_listener.h"
#include "server/log.h"
#include "server/oauth/connect/connection_rules.h"
#include "server/oauth/connection_refresher.h"
#include "server/oauth/providers/provider_rules.h"
#include "server/oauth/refresh/refresh_context.h"
#include "server/pagination.h"
#include "server/processes/process_table.h"
#include "server/usage/usage_recorder.h"
#include "storage/store.h"

namespace keyferry::server {

struct OauthOptions {
  OauthOptions() { listener.address.clear(); }

  // Where browsers come back to; with an empty address there is no listener, and nobody can connect in a browser.
  HttpsListener::Options listener;
  // PEM files of the listener.
  std::string cert_file;
  std::string key_file;
  // What the server may connect to: CAs besides the system's, and addresses besides the public ones (AddressGuard).
  std::string ca_file;
  std::vector<std::string> allowed_addresses;
};

// Everything of OAuth between an open store and the API: the way to providers and from browsers, the rules of both
// services, and what keeps tokens fresh. Thread-safe.
class Oauth {
 public:
  // What it is built on; outlives it.
  struct Surroundings {
    storage::Store* store = nullptr;
    std::function<absl::Time()> clock;
    const PageTokens* pages = nullptr;
    AuditLog* audit = nullptr;
    UsageRecorder* usage = nullptr;
    ProcessTable* processes = nullptr;
    Logger* logger = nullptr;
  };

  // Browsers are answered, and tokens refreshed, from the return on. INVALID_ARGUMENT for an option or a file,
  // UNAVAILABLE if the address cannot be listened on.
  static absl::StatusOr<std::unique_ptr<Oauth>> Start(const OauthOptions& options, const Surroundings& surroundings);
  ~Oauth();

  OauthProviderRules* providers() const;
  ConnectionRules* connections() const;
  ConnectionRefresher* refresher() const;
  RefreshStatus refresh_status() const;

  // "https://host:port" under which browsers reach the listener; "" without one.
  const std::string& public_url() const;
  // HOST:PORT that the listener has, "" without one.
  std::string listen_address() const;

  // Of the listener, for connections from now on. Does nothing without one.
  absl::Status SetCertificate(const LoadedCertificate& certificate);
  // When the certificate ends that the listener started with; infinite without one.
  absl::Time first_not_after() const;

  // Begins no refresh any more: what a provider answers must still find the store open.
  void StopBeginning();
  // Ends the waiting for providers, of calls and browsers: requests to providers end, whoever asked for a refresh is
  // told that the server ends, and browsers' requests that still wait for their turn are answered 503. Refreshes that
  // have begun go on. Does not wait. May be called by any thread.
  void EndWaits();
  // Lets browsers' requests that have begun come to their end for up to `grace`, and then ends their waits. Refreshes
  // that have begun are given as long as an exchange may take from StopBeginning on, since a refresh token may have
  // been used up whose successor is still to come. Begins no more.
  void Drain(absl::Duration grace);

 private:
  struct Parts;
  explicit Oauth(std::unique_ptr<Parts> parts);

  const std::unique_ptr<Parts> parts_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_OAUTH_H_
