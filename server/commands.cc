#include "server/commands.h"

#include <unistd.h>

#include <csignal>
#include <iostream>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/audit/audit_line.h"
#include "server/dev/dev_setup.h"
#include "server/directory/bootstrap.h"
#include "server/files.h"
#include "server/keyferry_server.h"
#include "server/log.h"
#include "server/rpc/grpc_log.h"
#include "server/status_macros.h"
#include "server/version.h"
#include "storage/journal.h"
#include "storage/open.h"

namespace keyferry::server {
namespace {

constexpr absl::Duration kInitTokenLifetime = absl::Hours(24 * 365);

// The signals that the main thread waits for; blocked in every thread that starts afterwards.
sigset_t BlockSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  for (int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

absl::StatusOr<std::unique_ptr<storage::KeyProvider>> LoadKeyProvider(const config::KeyProvider& provider) {
  if (!provider.file().empty()) return storage::LoadFileKeyProvider(provider.file());
  RETURN_IF_ERROR(CheckPrivateFile(provider.passphrase_file()));
  ASSIGN_OR_RETURN(storage::SecretBytes passphrase, ReadSmallFile(provider.passphrase_file()));
  if (!passphrase.empty() && passphrase.Expose().back() == '\n') passphrase.Truncate(passphrase.size() - 1);
  return storage::MakePassphraseKeyProvider(std::move(passphrase));
}

bool IsSet(const config::KeyProvider& provider) {
  return !provider.file().empty() || !provider.passphrase_file().empty();
}

storage::OpenOptions StoreOptions(const config::Config& config, bool create) {
  storage::OpenOptions options;
  options.data_dir = config.data_dir();
  options.create = create;
  options.memory_budget = static_cast<size_t>(config.limits().memory_budget_mib()) << 20;
  return options;
}

// Opens with the key provider; where that is not the store's and a previous one is configured, opens with that and
// rewraps the store's root key.
absl::StatusOr<std::unique_ptr<storage::Store>> OpenConfiguredStore(const config::Config& config, bool create) {
  ASSIGN_OR_RETURN(const auto current, LoadKeyProvider(config.key_provider()));
  auto store = storage::OpenStore(StoreOptions(config, create), *current);
  if (!absl::IsPermissionDenied(store.status()) || !IsSet(config.previous_key_provider())) return store;
  ASSIGN_OR_RETURN(const auto previous, LoadKeyProvider(config.previous_key_provider()));
  ASSIGN_OR_RETURN(auto rewrapped, storage::OpenStore(StoreOptions(config, /*create=*/false), *previous));
  RETURN_IF_ERROR(rewrapped->RotateKek(*current));
  return rewrapped;
}

CallRates RatesOf(const config::Limits& limits) {
  CallRates rates;
  rates.identity = {limits.calls_per_second_per_identity(), limits.call_burst_per_identity()};
  rates.org = {limits.calls_per_second_per_org(), limits.call_burst_per_org()};
  rates.failed_authentication = {limits.failed_calls_per_second_per_address(), limits.failed_call_burst_per_address()};
  return rates;
}

KeyferryServerOptions ServerOptions(const config::Config& config) {
  KeyferryServerOptions options;
  options.grpc.listen = config.listen();
  options.grpc.cert_file = config.tls().cert_file();
  options.grpc.key_file = config.tls().key_file();
  options.grpc.client_ca_file = config.tls().client_ca_file();
  options.grpc.max_streams_per_connection = static_cast<int>(config.limits().max_streams_per_connection());
  options.grpc.ask_for_certificates = !config.identity().spiffe().empty();
  options.identity = config.identity();
  options.changes.threads = config.limits().change_threads();
  options.changes.max_queued = config.limits().max_queued_changes();
  options.changes.max_running_per_group = config.limits().change_threads_per_org();
  options.changes.max_queued_per_group = config.limits().max_queued_changes_per_org();
  options.rates = RatesOf(config.limits());
  options.oauth.listener.address = config.http().listen();
  options.oauth.listener.public_url = config.http().public_url();
  options.oauth.cert_file = config.http().tls().cert_file();
  options.oauth.key_file = config.http().tls().key_file();
  options.oauth.ca_file = config.outbound().ca_file();
  options.oauth.allowed_addresses = {config.outbound().allowed_addresses().begin(),
                                     config.outbound().allowed_addresses().end()};
  if (config.audit().stream() != "off") options.audit_stream = config.audit().stream();
  if (config.audit().retention_days() != 0) options.audit_retention = absl::Hours(24) * config.audit().retention_days();
  return options;
}

// Applies what can change without a restart. A configuration that cannot be used changes nothing.
absl::Status Reload(const CommandLine& command_line, config::Config* config, KeyferryServer* server, Logger* logger) {
  ASSIGN_OR_RETURN(config::Config next, LoadConfig(command_line));
  ASSIGN_OR_RETURN(const LogLevel level, ParseLogLevel(next.log().level()));
  if (next.key_provider().SerializeAsString() != config->key_provider().SerializeAsString()) {
    ASSIGN_OR_RETURN(const auto key_provider, LoadKeyProvider(next.key_provider()));
    RETURN_IF_ERROR(server->store()->RotateKek(*key_provider));
    logger->Write(LogLevel::kInfo, "root key rewrapped", {{"key_provider", key_provider->Description()}});
  }
  RETURN_IF_ERROR(server->ReloadCertificates());
  logger->SetLevel(level);
  server->SetRates(RatesOf(next.limits()));
  config->Swap(&next);
  return absl::OkStatus();
}

// Waits for signals until one asks to stop, then drains.
void ServeUntilStopped(const CommandLine& command_line, const sigset_t& signals, KeyferryServer* server,
                       Logger* logger) {
  config::Config config = command_line.config;
  WriteGrpcLogAsJson();
  while (true) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (signal != SIGHUP) break;
    server->ReopenAuditStream();
    const absl::Status reloaded = Reload(command_line, &config, server, logger);
    if (reloaded.ok()) {
      logger->Write(LogLevel::kInfo, "configuration reloaded", {});
    } else {
      logger->Write(LogLevel::kError, "configuration not reloaded; the running one stays",
                    {{"problem", reloaded.message()}});
    }
  }
  logger->Write(LogLevel::kInfo, "stopping", {{"drain_seconds", int64_t{config.limits().drain_seconds()}}});
  server->Drain(absl::Seconds(config.limits().drain_seconds()));
}

void PrintReadyLine(const std::string& address, const std::string& rest) {
  std::cout << absl::StrCat("keyferryd ready address=", address, rest, "\n") << std::flush;
}

absl::Status Serve(const CommandLine& command_line) {
  const config::Config& config = command_line.config;
  if (config.tls().cert_file().empty() || config.tls().key_file().empty()) {
    return absl::InvalidArgumentError("`tls.cert_file` and `tls.key_file` are needed: keyferryd serves TLS only");
  }
  ASSIGN_OR_RETURN(const LogLevel level, ParseLogLevel(config.log().level()));
  const std::unique_ptr<Logger> logger = MakeStderrLogger(level);
  const sigset_t signals = BlockSignals();
  ASSIGN_OR_RETURN(auto store, OpenConfiguredStore(config, /*create=*/false));
  ASSIGN_OR_RETURN(auto server,
                   KeyferryServer::Start(std::move(store), ServerOptions(config), absl::Now, logger.get()));
  logger->Write(LogLevel::kInfo, "ready", {{"address", server->address()}, {"version", kServerVersion}});
  PrintReadyLine(server->address(), "");
  ServeUntilStopped(command_line, signals, server.get(), logger.get());
  server.reset();
  logger->Write(LogLevel::kInfo, "stopped", {});
  return absl::OkStatus();
}

absl::Status ServeDev(const CommandLine& command_line) {
  config::Config config = command_line.config;
  const DevPaths paths(config.data_dir());
  config.mutable_tls()->set_cert_file(paths.cert_file);
  config.mutable_tls()->set_key_file(paths.key_file);
  config.mutable_http()->mutable_tls()->set_cert_file(paths.cert_file);
  config.mutable_http()->mutable_tls()->set_key_file(paths.key_file);
  if (config.http().listen().empty()) config.mutable_http()->set_listen(KeptHttpAddress(paths));
  ASSIGN_OR_RETURN(const LogLevel level, ParseLogLevel(config.log().level()));
  const std::unique_ptr<Logger> logger = MakeStderrLogger(level);
  const sigset_t signals = BlockSignals();
  ASSIGN_OR_RETURN(auto store, OpenDevStore(paths, absl::Now()));
  absl::Mutex changes;
  RETURN_IF_ERROR(EnsureDevAdmin(paths, {store.get(), absl::Now, /*pages=*/nullptr, &changes}));
  ASSIGN_OR_RETURN(auto server,
                   KeyferryServer::Start(std::move(store), ServerOptions(config), absl::Now, logger.get()));
  RETURN_IF_ERROR(WriteDevAddresses(paths, server->address(), server->oauth().listen_address()));
  logger->Write(LogLevel::kInfo, "ready", {{"address", server->address()}, {"version", kServerVersion}});
  PrintReadyLine(server->address(), absl::StrCat(" ca_file=", paths.ca_file, " token_file=", paths.token, " org=dev",
                                                 " http=", server->oauth().public_url()));
  ServeUntilStopped(command_line, signals, server.get(), logger.get());
  server.reset();
  logger->Write(LogLevel::kInfo, "stopped", {});
  return absl::OkStatus();
}

absl::Status Init(const CommandLine& command_line) {
  const config::Config& config = command_line.config;
  RETURN_IF_ERROR(EnsurePrivateDirectory(config.data_dir()));
  const std::string& kek = config.key_provider().file();
  if (!kek.empty() && access(kek.c_str(), F_OK) != 0) {
    // A store that exists was wrapped by another KEK; a new one beside it would only hide that it is lost.
    ASSIGN_OR_RETURN(const bool empty, IsEmptyDirectory(config.data_dir()));
    if (!empty) {
      return absl::NotFoundError(absl::StrCat("the KEK file ", kek, " is missing, and ", config.data_dir(),
                                              " holds a store that was sealed with it; restore the file"));
    }
    RETURN_IF_ERROR(storage::CreateKekFile(kek));
  }
  ASSIGN_OR_RETURN(const auto store, OpenConfiguredStore(config, /*create=*/true));
  RETURN_IF_ERROR(FinishOrgDeletions(store.get()));
  absl::Mutex changes;
  const DirectoryContext context{store.get(), absl::Now, /*pages=*/nullptr, &changes};
  ASSIGN_OR_RETURN(const bool made,
                   EnsureOrgWithAdmin(context, command_line.org, command_line.tier, command_line.admin));
  ASSIGN_OR_RETURN(const IssuedToken issued, IssueTokenForUser(context, command_line.org, command_line.admin,
                                                               "keyferryd init", kInitTokenLifetime));
  std::cerr << "keyferryd: organization " << command_line.org << (made ? " made" : " exists") << ", user "
            << command_line.admin << " is ADMIN\n";
  if (!command_line.token_file.empty()) return WritePrivateFile(command_line.token_file, issued.text.Expose());
  std::cout << issued.text.Expose() << "\n" << std::flush;
  return absl::OkStatus();
}

absl::Status Verify(const CommandLine& command_line) {
  ASSIGN_OR_RETURN(const auto key_provider, LoadKeyProvider(command_line.config.key_provider()));
  ASSIGN_OR_RETURN(const auto store, storage::OpenStore(StoreOptions(command_line.config, false), *key_provider));
  RETURN_IF_ERROR(store->Verify());
  std::cout << "keyferryd: every record of " << command_line.config.data_dir() << " is authentic\n" << std::flush;
  return absl::OkStatus();
}

// Prints a journal as it is exported, oldest first.
absl::Status PrintAudit(const CommandLine& command_line) {
  ASSIGN_OR_RETURN(const auto key_provider, LoadKeyProvider(command_line.config.key_provider()));
  ASSIGN_OR_RETURN(const auto store, storage::OpenStore(StoreOptions(command_line.config, false), *key_provider));
  const auto view = store->View();
  absl::Status printed;
  ASSIGN_OR_RETURN(const auto damage,
                   storage::VerifyJournal(*view, command_line.org, [&](const storage::JournalEntry& entry) {
                     const absl::StatusOr<std::string> line = AuditLine(command_line.org, entry);
                     if (line.ok()) std::cout << *line;
                     printed.Update(line.status());
                   }));
  RETURN_IF_ERROR(printed);
  if (damage.has_value()) {
    return absl::DataLossError(absl::StrCat("the audit log breaks at entry ", damage->sequence, ": ", damage->problem));
  }
  ASSIGN_OR_RETURN(const storage::JournalHead head, storage::ReadJournalHead(*view, command_line.org));
  std::cout << AuditHeadLine(command_line.org, head) << std::flush;
  return absl::OkStatus();
}

absl::Status RotateKek(const CommandLine& command_line) {
  const config::Config& config = command_line.config;
  if (!IsSet(config.previous_key_provider())) {
    return absl::InvalidArgumentError(
        "`previous_key_provider` is not set; set it to the KEK that the store has, and `key_provider` to the next one");
  }
  ASSIGN_OR_RETURN(const auto previous, LoadKeyProvider(config.previous_key_provider()));
  const std::string& kek = config.key_provider().file();
  if (!kek.empty() && access(kek.c_str(), F_OK) != 0) RETURN_IF_ERROR(storage::CreateKekFile(kek));
  ASSIGN_OR_RETURN(const auto next, LoadKeyProvider(config.key_provider()));
  ASSIGN_OR_RETURN(const auto store, storage::OpenStore(StoreOptions(config, false), *previous));
  RETURN_IF_ERROR(store->RotateKek(*next));
  std::cout << "keyferryd: the store is wrapped by " << next->Description() << "; " << previous->Description()
            << " opens nothing any more\n"
            << std::flush;
  return absl::OkStatus();
}

}  // namespace

absl::Status RunCommand(const CommandLine& command_line) {
  DropGrpcLog();
  switch (command_line.command) {
    case CommandLine::kDev:
      return ServeDev(command_line);
    case CommandLine::kInit:
      return Init(command_line);
    case CommandLine::kVerify:
      return Verify(command_line);
    case CommandLine::kAudit:
      return PrintAudit(command_line);
    case CommandLine::kRotateKek:
      return RotateKek(command_line);
    case CommandLine::kServe:
      break;
  }
  return Serve(command_line);
}

}  // namespace keyferry::server
