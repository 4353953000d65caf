#include "server/rpc/grpc_server.h"

#include <cstdint>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "grpcpp/ext/proto_server_reflection_plugin.h"
#include "grpcpp/grpcpp.h"
#include "grpcpp/health_check_service_interface.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/security/tls_credentials_options.h"
#include "server/rpc/request_limits.h"
#include "server/rpc/unreadable_requests.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

// Above the limit of the largest request, so that a request over its limit is refused with a reason.
constexpr int kMaxReceiveBytes = static_cast<int>(kMaxLargeRequestBytes) + (256 << 10);
constexpr int kMaxMetadataBytes = 16 << 10;
constexpr int kKeepaliveMs = 60'000;
constexpr int kKeepaliveTimeoutMs = 20'000;
constexpr int kMinPingIntervalMs = 10'000;

std::shared_ptr<grpc::ServerCredentials> MakeCredentials(const GrpcServerOptions& options,
                                                         std::shared_ptr<ReloadableCertificate> certificate) {
  namespace tls = grpc::experimental;
  tls::TlsServerCredentialsOptions tls_options(std::move(certificate));
  tls_options.watch_identity_key_cert_pairs();
  if (options.client_ca_file.empty()) {
    // A client that shows a certificate proves that it has the key; whose it is, those who read it verify.
    tls_options.set_cert_request_type(options.ask_for_certificates ? GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_BUT_DONT_VERIFY
                                                                   : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE);
  } else {
    tls_options.watch_root_certs();
    tls_options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return tls::TlsServerCredentials(tls_options);
}

void SetLimits(const GrpcServerOptions& options, grpc::ServerBuilder* builder) {
  builder->SetMaxReceiveMessageSize(kMaxReceiveBytes);
  builder->AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder->AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, options.max_streams_per_connection);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  builder->AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder->AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, kMinPingIntervalMs);
  // Two servers on one port would answer in turn, each with a store of its own.
  builder->AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
}

// gRPC takes larger numbers for what is left of them in 16 bits.
bool IsPort(absl::string_view text) {
  uint32_t port = 0;
  return absl::c_all_of(text, absl::ascii_isdigit) && absl::SimpleAtoi(text, &port) && port <= 65535;
}

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const GrpcServerOptions& options,
                                                              std::vector<std::unique_ptr<grpc::Service>> services) {
  const size_t colon = options.listen.rfind(':');
  if (colon == std::string::npos || colon == 0 || !IsPort(absl::string_view(options.listen).substr(colon + 1))) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen on `", options.listen, "`: use HOST:PORT, e.g. 127.0.0.1:7443"));
  }
  ASSIGN_OR_RETURN(const LoadedCertificate loaded,
                   LoadCertificate({options.cert_file, options.key_file, options.client_ca_file}));
  auto certificate = std::make_shared<ReloadableCertificate>(loaded);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort(options.listen, MakeCredentials(options, certificate), &port);
  SetLimits(options, &builder);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(ExplainUnreadableRequests());
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  for (const auto& service : services) builder.RegisterService(service.get());
  std::unique_ptr<GrpcServer> server(new GrpcServer());
  server->services_ = std::move(services);
  server->certificate_ = std::move(certificate);
  server->not_after_ = loaded.not_after;
  server->server_ = builder.BuildAndStart();
  if (server->server_ == nullptr || port == 0) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", options.listen,
                                               ": the address is in use or not this machine's; choose another with "
                                               "--listen"));
  }
  server->address_ = absl::StrCat(options.listen.substr(0, colon), ":", port);
  return server;
}

GrpcServer::~GrpcServer() { Drain(absl::ZeroDuration()); }

void GrpcServer::SetCertificate(const LoadedCertificate& certificate) { certificate_->Set(certificate); }

void GrpcServer::Drain(absl::Duration grace) {
  if (server_ == nullptr) return;
  if (auto* health = server_->GetHealthCheckService()) health->SetServingStatus(false);
  server_->Shutdown(absl::ToChronoTime(absl::Now() + grace));
  server_->Wait();
  server_.reset();
}

}  // namespace keyferry::server
