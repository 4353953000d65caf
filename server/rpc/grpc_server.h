#ifndef KEYFERRY_SERVER_RPC_GRPC_SERVER_H_
#define KEYFERRY_SERVER_RPC_GRPC_SERVER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "grpcpp/impl/service_type.h"
#include "server/certificates/certificate_files.h"
#include "server/rpc/reloadable_certificate.h"

namespace grpc {
class Server;
}

namespace keyferry::server {

struct GrpcServerOptions {
  // "HOST:PORT"; port 0 takes any free one.
  std::string listen;
  // PEM files; if `client_ca_file` is set, clients must present a certificate of one of these CAs.
  std::string cert_file;
  std::string key_file;
  std::string client_ca_file;
  // Whether clients are asked for a certificate even so, which they need not have and which is not verified.
  bool ask_for_certificates = false;
  int max_streams_per_connection = 1000;
};

// A gRPC server over TLS 1.2 or later with the standard health and reflection services. Thread-safe.
class GrpcServer {
 public:
  // Listens. INVALID_ARGUMENT if a certificate or key cannot be used, UNAVAILABLE if the address cannot be taken.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const GrpcServerOptions& options,
                                                           std::vector<std::unique_ptr<grpc::Service>> services);
  // Drains without a grace, if Drain was not called.
  ~GrpcServer();

  // "HOST:PORT" with the port that was taken.
  const std::string& address() const { return address_; }

  // When the certificate ends that it started with.
  absl::Time first_not_after() const { return not_after_; }
  // For the connections from now on. Whether clients need a certificate stays as it was.
  void SetCertificate(const LoadedCertificate& certificate);

  // Answers NOT_SERVING to health checks, takes no new calls, waits for running ones up to `grace`, cancels the rest.
  void Drain(absl::Duration grace);

 private:
  GrpcServer() = default;

  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::shared_ptr<ReloadableCertificate> certificate_;
  absl::Time not_after_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RPC_GRPC_SERVER_H_
