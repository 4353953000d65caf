#include "server/reloads.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "server/configured_store.h"
#include "server/server_options.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr char kKek[] = "kek";
constexpr char kConfig[] = "config";
constexpr char kMetricsToken[] = "metrics_token";
// How long a reload waits until nothing that the KEK from before opens is left. It goes on by itself: meanwhile nobody
// would answer a signal.
constexpr absl::Duration kPurgePatience = absl::Seconds(1);

std::string CertificateOf(const std::string& listener) { return listener + "_certificate"; }

CertificateFiles FilesOf(const config::Tls& tls) { return {tls.cert_file(), tls.key_file(), tls.client_ca_file()}; }

CertificateFiles FilesOf(const config::HttpTls& tls) { return {tls.cert_file(), tls.key_file(), ""}; }

// A running listener asks for something or does not: what is set only now would look enforced, and not be.
absl::Status CheckStillAsked(absl::string_view key, const std::string& file, const std::string& next_file) {
  if (file.empty() == next_file.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("`", key, "` ", file.empty() ? "was not set" : "was set",
                   " when the server started, and takes effect only at the next start: restart keyferryd, or ",
                   file.empty() ? "take it out again" : "put it back"));
}

}  // namespace

Reloads::Reloads(config::Config config, Load load, const Parts& parts, absl::Duration interval)
    : load_(std::move(load)),
      parts_(parts),
      config_(std::move(config)),
      kek_(config_.key_provider()),
      files_(parts.logger, interval) {
  KeyferryServer* const server = parts_.server;
  Serve("grpc", FilesOf(config_.tls()), server->grpc_first_not_after(),
        [server](const LoadedCertificate& loaded) { return server->SetGrpcCertificate(loaded); });
  if (!config_.http().listen().empty()) {
    Serve("http", FilesOf(config_.http().tls()), server->oauth().first_not_after(),
          [server](const LoadedCertificate& loaded) { return server->SetHttpCertificate(loaded); });
  }
  if (parts_.metrics != nullptr) AddMonitoring();
  AddKek();
}

Reloads::~Reloads() = default;

void Reloads::Serve(const std::string& listener, CertificateFiles files, absl::Time not_after,
                    ServedCertificate::Use use) {
  const std::vector<std::string> paths = files.Paths();
  auto served = std::make_unique<ServedCertificate>(std::move(files), not_after, parts_.clock, std::move(use));
  files_.Add(CertificateOf(listener), paths, [s = served.get()] { return s->Reload(); });
  certificates_[listener] = std::move(served);
}

void Reloads::AddMonitoring() {
  MetricsListener* const metrics = parts_.metrics;
  Serve("metrics", FilesOf(config_.metrics().tls()), metrics->first_not_after(),
        [metrics](const LoadedCertificate& loaded) { return metrics->SetCertificate(loaded); });
  if (config_.metrics().token_file().empty()) return;
  files_.Add(kMetricsToken, {config_.metrics().token_file()}, [metrics] { return metrics->ReloadToken(); });
}

void Reloads::AddKek() {
  files_.Add(kKek, {FileOf(config_.key_provider())}, [this] { return CheckKek(); });
}

absl::Status Reloads::CheckKek() {
  absl::MutexLock lock(&kek_mutex_);
  const auto key_provider = LoadKeyProvider(kek_);
  absl::Status status = key_provider.status();
  if (status.ok()) status = parts_.server->store()->CheckKek(**key_provider);
  kek_usable_ = status.ok();
  return status;
}

void Reloads::SetFiles(const std::string& listener, CertificateFiles files) {
  const auto found = certificates_.find(listener);
  if (found == certificates_.end()) return;
  files_.SetFiles(CertificateOf(listener), files.Paths());
  found->second->SetFiles(std::move(files));
}

absl::Status Reloads::CheckWithoutRestart(const config::Config& next) const {
  RETURN_IF_ERROR(CheckStillAsked("tls.client_ca_file", config_.tls().client_ca_file(), next.tls().client_ca_file()));
  if (parts_.metrics == nullptr) return absl::OkStatus();
  return CheckStillAsked("metrics.token_file", config_.metrics().token_file(), next.metrics().token_file());
}

absl::Status Reloads::ReadConfig() {
  ASSIGN_OR_RETURN(config::Config next, load_());
  ASSIGN_OR_RETURN(const LogLevel level, ParseLogLevel(next.log().level()));
  RETURN_IF_ERROR(CheckWithoutRestart(next));
  ASSIGN_OR_RETURN(IdentityTrust identity, parts_.server->PrepareIdentity(next.identity(), parts_.stopping));
  if (next.key_provider().SerializeAsString() != config_.key_provider().SerializeAsString()) {
    ASSIGN_OR_RETURN(const auto key_provider, LoadKeyProvider(next.key_provider()));
    RETURN_IF_ERROR(TakeKek(parts_.server->store(), *key_provider, kPurgePatience, parts_.logger));
    files_.SetFiles(kKek, {FileOf(next.key_provider())});
    absl::MutexLock lock(&kek_mutex_);
    kek_ = next.key_provider();
  }
  SetFiles("grpc", FilesOf(next.tls()));
  SetFiles("http", FilesOf(next.http().tls()));
  SetFiles("metrics", FilesOf(next.metrics().tls()));
  if (parts_.metrics != nullptr && !next.metrics().token_file().empty()) {
    files_.SetFiles(kMetricsToken, {next.metrics().token_file()});
    parts_.metrics->SetTokenFile(next.metrics().token_file());
  }
  parts_.logger->SetLevel(level);
  parts_.server->SetRates(RatesOf(next.limits()));
  parts_.server->UseIdentity(std::move(identity));
  config_.Swap(&next);
  return absl::OkStatus();
}

void Reloads::Reload() {
  const absl::Status read = ReadConfig();
  files_.Note(kConfig, read);
  if (!read.ok()) {
    parts_.logger->Write(LogLevel::kError, "configuration not reloaded; the running one stays",
                         {{"problem", read.message()}});
  }
  // Of the files that are configured now; each that cannot be used is told.
  files_.ReloadAll().IgnoreError();
  if (read.ok()) parts_.logger->Write(LogLevel::kInfo, "configuration reloaded", {});
}

void Reloads::WriteMetrics(metrics::Exposition* out) const {
  files_.WriteTo(out);
  out->Gauge("keyferry_certificate_expiry_timestamp_seconds",
             "When the certificate that the listener shows ends, with its chain, since the epoch.");
  for (const auto& [listener, served] : certificates_) {
    out->Sample(static_cast<double>(absl::ToUnixSeconds(served->not_after())), {{"listener", listener}});
  }
  out->Gauge("keyferry_kek_usable",
             "1 if the KEK's file opened the store when it was last looked at; 0: the next start would be refused.",
             kek_usable_ ? 1 : 0);
}

}  // namespace keyferry::server
