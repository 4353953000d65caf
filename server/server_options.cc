#include "server/server_options.h"

#include "absl/time/time.h"

namespace keyferry::server {

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

MetricsListener::Options MetricsOptions(const config::Metrics& metrics) {
  MetricsListener::Options options;
  options.listen = metrics.listen();
  options.files.cert_file = metrics.tls().cert_file();
  options.files.key_file = metrics.tls().key_file();
  options.token_file = metrics.token_file();
  return options;
}

}  // namespace keyferry::server
