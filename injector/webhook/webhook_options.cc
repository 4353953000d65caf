#include "injector/webhook/webhook_options.h"

#include <memory>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "injector/exec/command_flags.h"

namespace keyferry::injector::webhook {
namespace {

constexpr char kDescription[] =
    "Answers Kubernetes' admission reviews over HTTPS: a pod that is labelled `keyferry.dev/inject: \"true\"` gets "
    "the\n"
    "agent and the launcher that its MCP servers have their credentials from, or is refused with what is wrong. All\n"
    "other objects are left alone.";

constexpr char kFooter[] =
    R"(POST /mutate takes an AdmissionReview of admission.k8s.io/v1, GET /healthz answers "ok". The certificate, its key and the
CA are read again when they change. /metrics of --metrics-listen says how reviews end, without a name of anybody; it
answers everyone who reaches that address.

The file of --config is YAML; docs/webhook.md has its settings and the annotations of pods. `keyferry inject` does the
same to a file, offline.

With --ask-server a container without a command gets that of its MCP server's definition, and a dry run
(kubectl create --dry-run=server) warns of bindings that would fail. Connection: each option also comes from its variable
(KEYFERRY_ADDRESS, KEYFERRY_CA_FILE, KEYFERRY_TOKEN_FILE, KEYFERRY_ORG, ...) or a profile. Whoever reaches the webhook can
ask through it: give it --client-ca, or a network policy.

Exit status:
  0    drained after SIGTERM or SIGINT
  64   wrong usage, configuration or certificate
  69   an address cannot be listened on

Example:
  keyferry-injector webhook --tls-cert tls.crt --tls-key tls.key --config webhook.yaml)";

class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App*, std::string) const override {
    return "Usage: keyferry-injector webhook --tls-cert FILE --tls-key FILE [OPTIONS]\n";
  }
};

struct RawOptions {
  WebhookOptions parsed;
  std::string shutdown_delay;
  std::string drain_timeout;
};

void Declare(CLI::App& app, RawOptions& raw) {
  WebhookOptions& options = raw.parsed;
  app.formatter(std::make_shared<HelpFormatter>());
  app.footer(kFooter);
  app.add_option("--listen", options.listen, "Where to listen (default 0.0.0.0:8443)")->type_name("IP:PORT");
  app.add_option("--metrics-listen", options.metrics_listen,
                 "Where to serve /metrics for Prometheus, over HTTP (default: nowhere)")
      ->type_name("IP:PORT");
  app.add_option("--tls-cert", options.files.certificate, "Certificate, PEM, its chain after it")->type_name("FILE");
  app.add_option("--tls-key", options.files.key, "Its key, PEM; not readable by others")->type_name("FILE");
  app.add_option("--client-ca", options.files.client_ca,
                 "Answer only clients whose certificate this CA signed, PEM; others may ask for /healthz")
      ->type_name("FILE");
  app.add_option("--config", options.config, "What pods get: image, address, resources, ...")->type_name("FILE");
  app.add_option("--image", options.image, "Image of the agent and the launcher, instead of the configuration's")
      ->type_name("IMAGE");
  app.add_flag("--ask-server", options.ask_server, "Ask keyferryd for commands, and on a dry run for bindings");
  app.add_option("--shutdown-delay", raw.shutdown_delay,
                 "After SIGTERM: how long new requests are still taken (default 5s)")
      ->type_name("DURATION");
  app.add_option("--drain-timeout", raw.drain_timeout, "Then: how long requests may take to be answered (default 10s)")
      ->type_name("DURATION");
  AddConnectionFlags(app, options.connection);
}

absl::Status ReadDuration(const char* flag, const std::string& text, absl::Duration* duration) {
  if (text.empty()) return absl::OkStatus();
  if (absl::ParseDuration(text, duration) && *duration >= absl::ZeroDuration() && *duration <= absl::Minutes(10)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(flag, " takes a duration from 0s to 10m, such as 5s"));
}

}  // namespace

absl::StatusOr<WebhookOptions> ParseWebhookOptions(const std::vector<std::string>& arguments) {
  RawOptions raw;
  CLI::App app(kDescription);
  Declare(app, raw);
  const absl::StatusOr<bool> read = ReadFlags(app, arguments);
  if (!read.ok()) return read.status();
  raw.parsed.help = !*read;
  if (raw.parsed.help) return std::move(raw.parsed);
  WebhookOptions& options = raw.parsed;
  if (options.files.certificate.empty() || options.files.key.empty()) {
    return absl::InvalidArgumentError(
        "which certificate? Kubernetes calls over TLS only: give --tls-cert and --tls-key");
  }
  for (const absl::Status& status : {ReadDuration("--shutdown-delay", raw.shutdown_delay, &options.shutdown_delay),
                                     ReadDuration("--drain-timeout", raw.drain_timeout, &options.drain_timeout)}) {
    if (!status.ok()) return status;
  }
  return std::move(options);
}

std::string WebhookHelp() {
  RawOptions raw;
  CLI::App app(kDescription);
  Declare(app, raw);
  return app.help();
}

}  // namespace keyferry::injector::webhook
