// The floor of the launch benchmark: makes one mutual-TLS call to the floor server, then replaces itself with a
// command. Usage: floor_exec ADDRESS CA CERT KEY COMMAND.
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include "tests/bench/flags.h"
#include "tests/bench/floor.grpc.pb.h"

int main(int argc, char** argv) {
  using keyferry::bench::FloorService;
  if (argc != 6) return 64;
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = keyferry::bench::ReadFile(argv[2]);
  tls.pem_cert_chain = keyferry::bench::ReadFile(argv[3]);
  tls.pem_private_key = keyferry::bench::ReadFile(argv[4]);
  auto stub = FloorService::NewStub(grpc::CreateChannel(argv[1], grpc::SslCredentials(tls)));
  grpc::ClientContext context;
  keyferry::bench::FloorResponse response;
  const grpc::Status status = stub->Answer(&context, keyferry::bench::FloorRequest(), &response);
  if (!status.ok()) {
    std::cerr << status.error_message() << "\n";
    return 69;
  }
  execl(argv[5], argv[5], nullptr);
  return 127;
}
