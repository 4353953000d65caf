#include "server/serve.h"

#include <csignal>
#include <iostream>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "metrics/process_figures.h"
#include "server/backups/running_backups.h"
#include "server/configured_store.h"
#include "server/dev/dev_setup.h"
#include "server/keyferry_server.h"
#include "server/log.h"
#include "server/metrics/metrics_listener.h"
#include "server/reloads.h"
#include "server/rpc/grpc_log.h"
#include "server/server_options.h"
#include "server/status_macros.h"
#include "server/version.h"

namespace keyferry::server {
namespace {

// How often files are looked at.
constexpr absl::Duration kLookInterval = absl::Seconds(5);

// The signals that the main thread waits for; blocked in every thread that starts afterwards.
sigset_t BlockSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// Null if monitoring is not to be served.
absl::StatusOr<std::unique_ptr<MetricsListener>> StartMetrics(const config::Metrics& metrics) {
  if (metrics.listen().empty()) return std::unique_ptr<MetricsListener>();
  return MetricsListener::Start(MetricsOptions(metrics));
}

// Whether a signal to stop waits to be taken.
bool StopIsPending() {
  sigset_t pending;
  if (sigpending(&pending) != 0) return false;
  return sigismember(&pending, SIGTERM) == 1 || sigismember(&pending, SIGINT) == 1;
}

// Waits for signals until one asks to stop.
void AwaitStop(const sigset_t& signals, KeyferryServer* server, Reloads* reloads) {
  while (true) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (signal != SIGHUP) return;
    server->ReopenAuditStream();
    reloads->Reload();
  }
}

// A started server and what watches over it, until a signal asks to stop; then drains.
void ServeUntilStopped(const config::Config& config, Reloads::Load load, const sigset_t& signals,
                       KeyferryServer* server, MetricsListener* metrics, Logger* logger) {
  WriteGrpcLogAsJson();
  absl::Duration grace;
  {
    Reloads reloads(config, std::move(load), {server, metrics, logger, absl::Now, StopIsPending}, kLookInterval);
    if (metrics != nullptr) {
      metrics->Attach({[server, &reloads](metrics::Exposition* out) {
                         server->WriteMetrics(out);
                         reloads.WriteMetrics(out);
                         metrics::WriteProcessFigures(kServerVersion, out);
                       },
                       [server] { return server->Ready(); }});
    }
    AwaitStop(signals, server, &reloads);
    grace = absl::Seconds(reloads.config().limits().drain_seconds());
    logger->Write(LogLevel::kInfo, "stopping", {{"drain_seconds", absl::ToInt64Seconds(grace)}});
    server->Drain(grace);
    if (metrics != nullptr) metrics->Detach();
  }
}

void PrintReadyLine(const std::string& address, const std::string& rest) {
  std::cout << absl::StrCat("keyferryd ready address=", address, rest, "\n") << std::flush;
}

// Certificates and keys of its own, and free ports.
void CompleteForDev(const DevPaths& paths, config::Config* config) {
  for (config::HttpTls* tls : {config->mutable_http()->mutable_tls(), config->mutable_metrics()->mutable_tls()}) {
    tls->set_cert_file(paths.cert_file);
    tls->set_key_file(paths.key_file);
  }
  config->mutable_tls()->set_cert_file(paths.cert_file);
  config->mutable_tls()->set_key_file(paths.key_file);
  if (config->metrics().listen().empty()) config->mutable_metrics()->set_listen("127.0.0.1:0");
}

}  // namespace

absl::Status Serve(const CommandLine& command_line) {
  const config::Config& config = command_line.config;
  if (config.tls().cert_file().empty() || config.tls().key_file().empty()) {
    return absl::InvalidArgumentError("`tls.cert_file` and `tls.key_file` are needed: keyferryd serves TLS only");
  }
  ASSIGN_OR_RETURN(const LogLevel level, ParseLogLevel(config.log().level()));
  const std::unique_ptr<Logger> logger = MakeStderrLogger(level);
  const sigset_t signals = BlockSignals();
  // Before the store is opened, which takes its time: whoever restarts what does not answer must see that it does.
  ASSIGN_OR_RETURN(const auto metrics, StartMetrics(config.metrics()));
  ASSIGN_OR_RETURN(storage::OpenedStore opened, OpenConfiguredStore(config, /*create=*/false, logger.get()));
  ASSIGN_OR_RETURN(auto server,
                   KeyferryServer::Start(std::move(opened.store), ServerOptions(config), absl::Now, logger.get()));
  ASSIGN_OR_RETURN(auto backups, RunningBackups::Start(config.backup(), config.data_dir(), server->store(),
                                                       opened.backups, absl::Now, logger.get()));
  logger->Write(LogLevel::kInfo, "ready", {{"address", server->address()}, {"version", kServerVersion}});
  PrintReadyLine(server->address(), metrics == nullptr ? "" : absl::StrCat(" metrics=", metrics->address()));
  ServeUntilStopped(
      config, [&command_line] { return LoadConfig(command_line); }, signals, server.get(), metrics.get(), logger.get());
  backups.reset();
  server.reset();
  logger->Write(LogLevel::kInfo, "stopped", {});
  return absl::OkStatus();
}

absl::Status ServeDev(const CommandLine& command_line) {
  config::Config config = command_line.config;
  const DevPaths paths(config.data_dir());
  CompleteForDev(paths, &config);
  if (config.http().listen().empty()) config.mutable_http()->set_listen(KeptHttpAddress(paths));
  ASSIGN_OR_RETURN(const LogLevel level, ParseLogLevel(config.log().level()));
  const std::unique_ptr<Logger> logger = MakeStderrLogger(level);
  const sigset_t signals = BlockSignals();
  ASSIGN_OR_RETURN(storage::OpenedStore opened, OpenDevStore(paths, absl::Now()));
  absl::Mutex changes;
  RETURN_IF_ERROR(EnsureDevAdmin(paths, {opened.store.get(), absl::Now, /*pages=*/nullptr, &changes}));
  // The certificate was made with the store.
  ASSIGN_OR_RETURN(const auto metrics, StartMetrics(config.metrics()));
  ASSIGN_OR_RETURN(auto server,
                   KeyferryServer::Start(std::move(opened.store), ServerOptions(config), absl::Now, logger.get()));
  ASSIGN_OR_RETURN(auto backups, RunningBackups::Start(config.backup(), paths.store_dir, server->store(),
                                                       opened.backups, absl::Now, logger.get()));
  RETURN_IF_ERROR(WriteDevAddresses(paths, server->address(), server->oauth().listen_address(), metrics->address()));
  logger->Write(LogLevel::kInfo, "ready", {{"address", server->address()}, {"version", kServerVersion}});
  PrintReadyLine(server->address(), absl::StrCat(" ca_file=", paths.ca_file, " token_file=", paths.token, " org=dev",
                                                 " http=", server->oauth().public_url()));
  const auto load = [&command_line, &paths]() -> absl::StatusOr<config::Config> {
    ASSIGN_OR_RETURN(config::Config next, LoadConfig(command_line));
    CompleteForDev(paths, &next);
    return next;
  };
  ServeUntilStopped(config, load, signals, server.get(), metrics.get(), logger.get());
  backups.reset();
  server.reset();
  logger->Write(LogLevel::kInfo, "stopped", {});
  return absl::OkStatus();
}

}  // namespace keyferry::server
