#ifndef KEYFERRY_INJECTOR_WEBHOOK_WEBHOOK_OPTIONS_H_
#define KEYFERRY_INJECTOR_WEBHOOK_WEBHOOK_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/connection_options.h"
#include "injector/webhook/certificate_files.h"

namespace keyferry::injector::webhook {

// The command line of `keyferry-injector webhook`.
struct WebhookOptions {
  std::string listen = "0.0.0.0:8443";
  // Of /metrics; "" for none.
  std::string metrics_listen;
  CertificateFiles::Paths files;
  // "" for the defaults.
  std::string config;
  // Of the agent and the launcher, instead of the configuration's; "" for that.
  std::string image;
  // Asks keyferryd how MCP servers are started, and on a dry run which bindings would fail.
  bool ask_server = false;
  // How long requests are still taken after SIGTERM, until Kubernetes sends no more.
  absl::Duration shutdown_delay = absl::Seconds(5);
  absl::Duration drain_timeout = absl::Seconds(10);
  client::ConnectionOptions connection;
  // Set if help was asked for; nothing else is then.
  bool help = false;
};

// Parses what follows `webhook`. INVALID_ARGUMENT says what is wrong and how it is meant.
absl::StatusOr<WebhookOptions> ParseWebhookOptions(const std::vector<std::string>& arguments);

// The text of `keyferry-injector webhook --help`.
std::string WebhookHelp();

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_WEBHOOK_OPTIONS_H_
