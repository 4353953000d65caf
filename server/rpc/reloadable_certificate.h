#ifndef KEYFERRY_SERVER_RPC_RELOADABLE_CERTIFICATE_H_
#define KEYFERRY_SERVER_RPC_RELOADABLE_CERTIFICATE_H_

#include <memory>

#include "grpcpp/security/tls_certificate_provider.h"
#include "server/certificates/certificate_files.h"

namespace keyferry::server {

// Gives a gRPC server its certificate, and another one while it runs. gRPC's own provider that watches files hands on
// whatever they hold, and a server that is given a certificate which does not fit its key refuses every handshake; this
// one is only given what was found good. Thread-safe.
class ReloadableCertificate : public grpc::experimental::CertificateProviderInterface {
 public:
  explicit ReloadableCertificate(const LoadedCertificate& certificate);
  ~ReloadableCertificate() override;

  // For the handshakes from now on; connections stay.
  void Set(const LoadedCertificate& certificate);

  grpc_tls_certificate_provider* c_provider() override;

 private:
  class Provider;

  // Counted by gRPC as well, which may hold it longer.
  Provider* const provider_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RPC_RELOADABLE_CERTIFICATE_H_
