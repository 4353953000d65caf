#include "injector/webhook/webhook_command.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/connection_options.h"
#include "client/files.h"
#include "client/version.h"
#include "injector/exec/exit_code.h"
#include "injector/webhook/admission_handler.h"
#include "injector/webhook/counted_server_calls.h"
#include "injector/webhook/grpc_server_calls.h"
#include "injector/webhook/https/https_listener.h"
#include "injector/webhook/metrics_listener.h"
#include "injector/webhook/rewrite/rewrite_config.h"
#include "injector/webhook/rewrite/setting_forms.h"
#include "injector/webhook/server_questions.h"
#include "injector/webhook/webhook_metrics.h"
#include "metrics/certificate_end.h"
#include "metrics/exposition.h"
#include "metrics/process_figures.h"

namespace keyferry::injector::webhook {
namespace {

constexpr size_t kMaxConfig = 64 << 10;
// Between two looks at the certificate's files.
constexpr absl::Duration kReloadInterval = absl::Seconds(5);

// One line, whole even where several threads write.
void Log(const std::string& line) { fprintf(stderr, "keyferry-injector: webhook: %s\n", line.c_str()); }

sigset_t BlockSignals() {
  signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// The signal, or 0 when the time is over.
int WaitForSignal(const sigset_t& signals, absl::Duration at_most) {
  const timespec timeout = absl::ToTimespec(at_most);
  const int received = sigtimedwait(&signals, nullptr, &timeout);
  return received < 0 ? 0 : received;
}

absl::StatusOr<RewriteConfig> ReadConfig(const std::string& path) {
  if (path.empty()) return RewriteConfig();
  const absl::StatusOr<std::string> text = client::ReadFile(path, "configuration file", kMaxConfig);
  if (!text.ok()) return text.status();
  return ParseRewriteConfig(*text, path);
}

absl::StatusOr<ServicesUntil> OpenServices(const WebhookOptions& options, WebhookMetrics* metrics) {
  if (!options.ask_server) return ServicesUntil([](absl::Time /*deadline*/) { return ReviewServices(); });
  const absl::StatusOr<client::ConnectionOptions> connection =
      client::LoadConnectionOptions(options.connection, ::getenv);
  if (!connection.ok()) return connection.status();
  absl::StatusOr<std::unique_ptr<GrpcServerCalls>> calls = GrpcServerCalls::Open(*connection);
  if (!calls.ok()) return calls.status();
  const auto questions = std::make_shared<ServerQuestions>(
      std::make_unique<CountedServerCalls>(*std::move(calls), metrics), connection->org, absl::Now);
  return ServicesUntil([questions](absl::Time deadline) {
    ReviewServices services;
    services.definitions = [questions, deadline](const std::vector<AskedServer>& servers) {
      return questions->Define(servers, deadline);
    };
    services.check = [questions, deadline](const std::vector<ChosenContainer>& containers) {
      return questions->Check(containers, deadline);
    };
    return services;
  });
}

// What serves, beside the listener.
struct Serving {
  HttpsListener& listener;
  CertificateFiles& files;
  WebhookMetrics& metrics;
};

void Reload(const Serving& serving) {
  const absl::StatusOr<bool> reloaded = serving.files.Reload([&](const TlsIdentity& identity) {
    const absl::Status used = serving.listener.SetIdentity(identity);
    if (used.ok()) serving.metrics.SetCertificateEnd(metrics::EndOfChain(identity.certificate));
    return used;
  });
  if (!reloaded.ok()) {
    Log(absl::StrCat("the certificate stays as it was: ", reloaded.status().message()));
  } else if (*reloaded) {
    Log("the certificate was replaced");
  }
}

void Serve(const WebhookOptions& options, const sigset_t& signals, const Serving& serving) {
  int received = 0;
  while (received != SIGTERM && received != SIGINT) {
    received = WaitForSignal(signals, kReloadInterval);
    Reload(serving);
  }
  // A second signal ends the wait.
  WaitForSignal(signals, options.shutdown_delay);
  serving.listener.Drain(options.drain_timeout);
}

// Null where none is asked for.
absl::StatusOr<std::unique_ptr<MetricsListener>> StartMetrics(const std::string& address, const HttpsListener& listener,
                                                              const WebhookMetrics& figures) {
  if (address.empty()) return nullptr;
  return MetricsListener::Start(address, [&listener, &figures] {
    metrics::Exposition out;
    figures.WriteTo({listener.connections(), listener.turned_away()}, &out);
    metrics::WriteProcessFigures(client::kClientVersion, &out);
    return out.Take();
  });
}

Failure ListenFailure(const absl::Status& status) {
  if (absl::IsUnavailable(status)) return {kUnavailable, std::string(status.message())};
  return UsageFailure(status);
}

// HOST:PORT of an address that may have asked for any port.
std::string Address(const std::string& asked, uint16_t port) {
  return absl::StrCat(asked.substr(0, asked.rfind(':')), ":", port);
}

}  // namespace

Failure RunWebhook(const WebhookOptions& options) {
  const sigset_t signals = BlockSignals();
  absl::StatusOr<RewriteConfig> config = ReadConfig(options.config);
  if (!config.ok()) return UsageFailure(config.status());
  if (!options.image.empty() && !IsImage(options.image)) {
    return UsageFailure(absl::InvalidArgumentError(absl::StrCat("--image ", options.image, ": ", kImageForm)));
  }
  if (!options.image.empty()) config->image = options.image;
  CertificateFiles files(options.files);
  const absl::StatusOr<TlsIdentity> identity = files.Read();
  if (!identity.ok()) return UsageFailure(identity.status());
  // Before what counts in it.
  WebhookMetrics figures;
  figures.SetCertificateEnd(metrics::EndOfChain(identity->certificate));
  absl::StatusOr<ServicesUntil> services = OpenServices(options, &figures);
  if (!services.ok()) return UsageFailure(services.status());
  const absl::StatusOr<std::unique_ptr<HttpsListener>> listener =
      HttpsListener::Start(options.listen, *identity, ListenerLimits(),
                           MakeAdmissionHandler(*std::move(config), *std::move(services), Log, &figures));
  if (!listener.ok()) return ListenFailure(listener.status());
  const absl::StatusOr<std::unique_ptr<MetricsListener>> monitoring =
      StartMetrics(options.metrics_listen, **listener, figures);
  if (!monitoring.ok()) return ListenFailure(monitoring.status());
  std::string ready = absl::StrCat("webhook ready address=", Address(options.listen, (*listener)->port()));
  if (*monitoring != nullptr) {
    absl::StrAppend(&ready, " metrics=", Address(options.metrics_listen, (*monitoring)->port()));
  }
  printf("%s\n", ready.c_str());
  fflush(stdout);
  Serve(options, signals, {**listener, files, figures});
  return {0, ""};
}

}  // namespace keyferry::injector::webhook
