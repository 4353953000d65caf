// A gRPC server over mutual TLS whose one method answers at once with a given number of bytes: the floor of the request
// benchmarks. Flags: --cert --key --client-ca --payload-bytes --address-file. Ends on SIGTERM.
#include <grpcpp/grpcpp.h>

#include <csignal>
#include <fstream>
#include <memory>
#include <string>

#include "absl/synchronization/mutex.h"
#include "tests/bench/flags.h"
#include "tests/bench/floor.grpc.pb.h"

namespace keyferry::bench {
namespace {

class Floor final : public FloorService::CallbackService {
 public:
  explicit Floor(size_t payload_bytes) : payload_(payload_bytes, 'x') {}

 private:
  grpc::ServerUnaryReactor* Answer(grpc::CallbackServerContext* context, const FloorRequest*,
                                   FloorResponse* response) override {
    response->set_payload(payload_);
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  const std::string payload_;
};

int Main(int argc, char** argv) {
  auto flags = ParseFlags(argc, argv);
  // As keyferryd does.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTERM);
  sigaddset(&stop, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);

  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_root_certs = ReadFile(flags["client-ca"]);
  tls.pem_key_cert_pairs.push_back({ReadFile(flags["key"]), ReadFile(flags["cert"])});
  Floor service(std::stoul(flags["payload-bytes"]));
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(tls), &port);
  builder.RegisterService(&service);
  std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    std::cerr << "floor_server: could not listen\n";
    return 1;
  }
  std::ofstream(flags["address-file"]) << "127.0.0.1:" << port;
  int signal = 0;
  sigwait(&stop, &signal);
  server->Shutdown();
  return 0;
}

}  // namespace
}  // namespace keyferry::bench

int main(int argc, char** argv) { return keyferry::bench::Main(argc, argv); }
