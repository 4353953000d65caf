#include "server/keyferry_server.h"

#include <algorithm>
#include <atomic>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "server/audit/audit_check.h"
#include "server/audit/audit_log.h"
#include "server/audit/audit_retention.h"
#include "server/audit/audit_rules.h"
#include "server/audit/audit_stream.h"
#include "server/audit/service.h"
#include "server/credentials/parent_counts.h"
#include "server/credentials/previous_sweeper.h"
#include "server/credentials/service.h"
#include "server/delayed_action.h"
#include "server/directory/bootstrap.h"
#include "server/directory/enrolment.h"
#include "server/directory/service.h"
#include "server/directory/users.h"
#include "server/http/address_guard.h"
#include "server/identity/authenticator.h"
#include "server/identity/external/identity_verifier.h"
#include "server/limits/call_limits.h"
#include "server/mcpservers/service.h"
#include "server/metrics/call_metrics.h"
#include "server/metrics/server_figures.h"
#include "server/oauth/connect/service.h"
#include "server/oauth/oauth.h"
#include "server/oauth/providers/service.h"
#include "server/pagination.h"
#include "server/processes/process_rules.h"
#include "server/processes/process_table.h"
#include "server/processes/refill.h"
#include "server/processes/service.h"
#include "server/resolution/service.h"
#include "server/rpc/dispatcher.h"
#include "server/rpc/executor.h"
#include "server/sessions/service.h"
#include "server/sessions/session_sweeper.h"
#include "server/status_macros.h"
#include "server/usage/usage_recorder.h"
#include "server/watch/watch_hub.h"

namespace keyferry::server {
namespace {

// For the keys of issuers that a new configuration names.
constexpr absl::Duration kKeysTimeout = absl::Seconds(10);

}  // namespace

// In the order in which they depend on one another; destroyed from the last to the first.
struct KeyferryServer::Parts {
  Parts(std::unique_ptr<storage::Store> opened, std::unique_ptr<AuditLog> log, std::unique_ptr<UsageRecorder> recorder,
        std::unique_ptr<AuditStream> stream, AddressGuard address_guard, IdentityTrust trust,
        const KeyferryServerOptions& options, std::function<absl::Time()> clock, Logger* logger)
      : store(std::move(opened)),
        audit(std::move(log)),
        usage(std::move(recorder)),
        audit_stream(std::move(stream)),
        audit_retention(store.get(), clock, options.audit_retention, logger),
        audit_rules(store.get(), &pages),
        audit_check(store.get(), &audit_rules, clock, logger),
        credentials(store.get(), clock, &pages, usage.get()),
        sweeper(store.get(), clock, logger),
        mcp_servers(store.get(), clock, &pages),
        sessions(store.get(), clock, &pages),
        session_sweeper(store.get(), clock, logger),
        process_rules(store.get(), clock, &pages, &processes),
        user_counts(store.get(), storage::Table::kUser, UserRules::kMaxUsers, "users"),
        guard(std::move(address_guard)),
        takes_certificates(options.grpc.ask_for_certificates),
        make_trust([this, clock, logger](const config::Identity& identity) {
          return IdentityTrust::Create(identity, guard, clock, logger, identities.trust().get());
        }),
        identities(std::move(trust), clock, logger),
        directory{store.get(), clock, &pages, &directory_changes, &identities, &user_counts},
        enrolment(directory,
                  [this](const std::string& org, std::function<void()> work) {
                    return executor.TryRun(org, std::move(work));
                  },
                  {logger, [this](const CallRecord& record) { (void)audit->Store(record); }}),
        authenticator(store.get(), clock, &identities, &enrolment),
        call_limits(options.rates),
        executor(options.changes),
        dispatcher(&authenticator, &call_limits, audit.get(), &executor, logger, Dispatcher::Limits{}, clock, &calls) {}

  std::vector<std::unique_ptr<grpc::Service>> MakeServices() {
    std::vector<std::unique_ptr<grpc::Service>> services;
    services.push_back(MakeDirectoryService(&dispatcher, directory));
    services.push_back(MakeTokenService(&dispatcher, directory));
    services.push_back(MakeCredentialService(&dispatcher, &credentials));
    services.push_back(MakeMcpServerService(&dispatcher, &mcp_servers));
    services.push_back(MakeSessionService(&dispatcher, &sessions));
    services.push_back(MakeOauthProviderService(&dispatcher, oauth->providers()));
    services.push_back(MakeConnectionService(&dispatcher, oauth->connections()));
    services.push_back(MakeResolutionService(&dispatcher, resolver.get(), watches.get(), oauth->refresher()));
    services.push_back(MakeProcessService(&dispatcher, &process_rules));
    services.push_back(MakeAuditService(&dispatcher, &audit_rules));
    return services;
  }

  ServerFigures Figures() const {
    ServerFigures figures;
    figures.store = store->Statistics();
    figures.refresh = oauth->refresh_status();
    figures.audit_entries = audit->entries();
    figures.audit_failures = audit->failures();
    figures.audit_checks = audit_rules.checks();
    figures.audit_checked = audit_check.last_run();
    figures.audit_stream_failing = audit_stream != nullptr && audit_stream->failing();
    figures.refused_by_identity = call_limits.refused_by_identity();
    figures.refused_by_org = call_limits.refused_by_org();
    figures.refused_by_address = call_limits.refused_by_address();
    figures.watchers = watches->open();
    figures.processes = processes.size();
    figures.sessions = session_sweeper.live();
    figures.changes_queued = executor.queued();
    figures.changes_refused = executor.refused();
    figures.draining = draining;
    return figures;
  }

  std::unique_ptr<storage::Store> store;
  std::unique_ptr<AuditLog> audit;
  std::unique_ptr<UsageRecorder> usage;
  std::unique_ptr<AuditStream> audit_stream;
  BackgroundAuditRetention audit_retention;
  PageTokens pages;
  AuditRules audit_rules;
  BackgroundAuditCheck audit_check;
  CredentialRules credentials;
  BackgroundSweeper sweeper;
  McpServerRules mcp_servers;
  SessionRules sessions;
  BackgroundSessionSweeper session_sweeper;
  ProcessTable processes;
  ProcessRules process_rules;
  absl::Mutex directory_changes;
  ParentCounts user_counts;
  const AddressGuard guard;
  const bool takes_certificates;
  const std::function<absl::StatusOr<IdentityTrust>(const config::Identity&)> make_trust;
  IdentityVerifier identities;
  DirectoryContext directory;
  Enrolment enrolment;
  Authenticator authenticator;
  CallLimits call_limits;
  CallMetrics calls;
  std::atomic<bool> draining{false};
  Executor executor;
  Dispatcher dispatcher;
  std::unique_ptr<Oauth> oauth;
  std::unique_ptr<Resolver> resolver;
  std::unique_ptr<WatchHub> watches;
  std::unique_ptr<GrpcServer> grpc;
};

KeyferryServer::KeyferryServer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

KeyferryServer::~KeyferryServer() { Drain(absl::ZeroDuration()); }

absl::StatusOr<std::unique_ptr<KeyferryServer>> KeyferryServer::Start(std::unique_ptr<storage::Store> store,
                                                                      const KeyferryServerOptions& options,
                                                                      std::function<absl::Time()> clock,
                                                                      Logger* logger) {
  RETURN_IF_ERROR(FinishOrgDeletions(store.get()));
  auto audit = std::make_unique<AuditLog>(store.get(), AuditLog::Options());
  ASSIGN_OR_RETURN(auto usage, UsageRecorder::Start(store.get(), audit.get(), clock, logger, UsageRecorder::Options()));
  std::unique_ptr<AuditStream> stream;
  if (!options.audit_stream.empty()) {
    AuditStream::Options stream_options;
    stream_options.target = options.audit_stream;
    ASSIGN_OR_RETURN(stream, AuditStream::Start(store.get(), audit.get(), logger, stream_options));
  }
  ASSIGN_OR_RETURN(const AddressGuard guard, AddressGuard::Create(options.oauth.allowed_addresses));
  ASSIGN_OR_RETURN(IdentityTrust trust, IdentityTrust::Create(options.identity, guard, clock, logger));
  auto parts = std::make_unique<Parts>(std::move(store), std::move(audit), std::move(usage), std::move(stream), guard,
                                       std::move(trust), options, clock, logger);
  RETURN_IF_ERROR(RefillProcesses(*parts->store->View(), clock(), &parts->processes));
  ASSIGN_OR_RETURN(parts->oauth,
                   Oauth::Start(options.oauth, {parts->store.get(), clock, &parts->pages, parts->audit.get(),
                                                parts->usage.get(), &parts->processes, logger}));
  parts->resolver = std::make_unique<Resolver>(parts->store.get(), clock, parts->usage.get(), &parts->processes,
                                               parts->oauth->public_url());
  const auto callers = [a = &parts->authenticator](const std::string& hash, bool external) {
    return a->AuthenticateAgain(hash, external);
  };
  ASSIGN_OR_RETURN(parts->watches,
                   WatchHub::Start(parts->store.get(), parts->resolver.get(), &parts->processes, callers,
                                   std::move(clock), options.watch, parts->oauth->refresher()));
  ASSIGN_OR_RETURN(parts->grpc, GrpcServer::Start(options.grpc, parts->MakeServices()));
  return std::unique_ptr<KeyferryServer>(new KeyferryServer(std::move(parts)));
}

const std::string& KeyferryServer::address() const { return parts_->grpc->address(); }

const Oauth& KeyferryServer::oauth() const { return *parts_->oauth; }

absl::Status KeyferryServer::SetGrpcCertificate(const LoadedCertificate& certificate) {
  parts_->grpc->SetCertificate(certificate);
  return absl::OkStatus();
}

absl::Status KeyferryServer::SetHttpCertificate(const LoadedCertificate& certificate) {
  return parts_->oauth->SetCertificate(certificate);
}

absl::Time KeyferryServer::grpc_first_not_after() const { return parts_->grpc->first_not_after(); }

absl::Status KeyferryServer::Ready() const {
  if (parts_->draining) return absl::UnavailableError("the server is stopping");
  if (parts_->store->Statistics().engine.failed) {
    return absl::UnavailableError("the store takes nothing more after a write failed; see the log, then restart");
  }
  return absl::OkStatus();
}

void KeyferryServer::WriteMetrics(metrics::Exposition* out) const {
  parts_->calls.WriteTo(out);
  WriteServerFigures(parts_->Figures(), out);
}

storage::Store* KeyferryServer::store() const { return parts_->store.get(); }

void KeyferryServer::ReopenAuditStream() {
  if (parts_->audit_stream != nullptr) parts_->audit_stream->Reopen();
}

absl::StatusOr<IdentityTrust> KeyferryServer::PrepareIdentity(const config::Identity& identity,
                                                              const std::function<bool()>& give_up) const {
  if (!identity.spiffe().empty() && !parts_->takes_certificates) {
    return absl::FailedPreconditionError(
        "`identity.spiffe` was not set when the server started, and takes effect only at the next start: restart "
        "keyferryd, or take it out again");
  }
  ASSIGN_OR_RETURN(IdentityTrust trust, parts_->make_trust(identity));
  RETURN_IF_ERROR(trust.AwaitKeys(kKeysTimeout, *parts_->identities.trust(), give_up));
  return trust;
}

void KeyferryServer::UseIdentity(IdentityTrust trust) {
  parts_->identities.SetTrust(std::move(trust));
  parts_->watches->CheckCallers();
}

void KeyferryServer::SetRates(const CallRates& rates) { parts_->call_limits.SetRates(rates); }

void KeyferryServer::Drain(absl::Duration grace) {
  parts_->draining = true;
  // They would last for the whole grace.
  parts_->watches->Drain();
  parts_->oauth->StopBeginning();
  const absl::Time deadline = absl::Now() + grace;
  parts_->dispatcher.Drain();
  {
    // A call that gRPC has ended still holds it up while it waits for a provider.
    const DelayedAction end_of_grace(grace, [this] { parts_->oauth->EndWaits(); });
    parts_->grpc->Drain(grace);
  }
  parts_->oauth->Drain(std::max(deadline - absl::Now(), absl::ZeroDuration()));
}

}  // namespace keyferry::server
