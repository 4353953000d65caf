// Opens watches of one MCP server over mutual TLS, rotates a credential that it binds, and measures how long the new
// version takes to the last of them. Prints `ready` once every watch has its first environment, and waits for a line on
// standard input, so that the server's memory can be read; then rotates and prints the milliseconds from before the
// call to the last watch. Repeats this until standard input ends. Flags: --address --ca --cert --key --tokens
// FILE,FILE,... --admin-token FILE --mcp-server --credential --streams
// --connections. Watches are spread evenly over tokens and connections.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <iostream>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include "keyferry/v1/credentials.grpc.pb.h"
#include "keyferry/v1/resolution.grpc.pb.h"
#include "tests/bench/flags.h"

namespace keyferry::bench {
namespace {

using Clock = std::chrono::steady_clock;

std::string ReadToken(const std::string& path) {
  std::string token = ReadFile(path);
  while (!token.empty() && token.back() == '\n') token.pop_back();
  return token;
}

// How many watches have the version that is waited for.
class Progress {
 public:
  void Expect(int64_t version) {
    std::lock_guard<std::mutex> lock(mutex_);
    version_ = version;
    count_ = 0;
  }
  void Saw(int64_t version) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (version != version_) return;
    last_ = Clock::now();
    ++count_;
    changed_.notify_one();
  }
  // When the last of `count` came.
  Clock::time_point Await(int count) {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(120), [&] { return count_ >= count; })) {
      std::cerr << "only " << count_ << " of " << count << " watches have version " << version_ << "\n";
      std::exit(1);
    }
    return last_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int64_t version_ = 0;
  int count_ = 0;
  Clock::time_point last_;
};

class Watch : public grpc::ClientReadReactor<v1::WatchResponse> {
 public:
  Watch(v1::ResolutionService::Stub* stub, const std::string& token, const v1::WatchRequest& request,
        const std::string& credential, Progress* progress)
      : credential_(credential), progress_(progress) {
    context_.AddMetadata("authorization", "Bearer " + token);
    stub->async()->Watch(&context_, &request, this);
    StartRead(&message_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    for (const v1::ResolvedVariable& variable : message_.environment().variables()) {
      if (variable.credential() == credential_) progress_->Saw(variable.version());
    }
    StartRead(&message_);
  }
  void OnDone(const grpc::Status& status) override {
    std::cerr << "a watch ended: " << status.error_message() << "\n";
    std::exit(1);
  }

 private:
  const std::string& credential_;
  Progress* const progress_;
  grpc::ClientContext context_;
  v1::WatchResponse message_;
};

int Run(std::map<std::string, std::string> flags) {
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = ReadFile(flags["ca"]);
  tls.pem_cert_chain = ReadFile(flags["cert"]);
  tls.pem_private_key = ReadFile(flags["key"]);
  std::vector<std::string> tokens;
  std::stringstream files(flags["tokens"]);
  for (std::string file; std::getline(files, file, ',');) tokens.push_back(ReadToken(file));
  const std::string admin = ReadToken(flags["admin-token"]);
  const std::string credential = flags["credential"];
  const int streams = std::stoi(flags["streams"]);
  const int connections = std::stoi(flags["connections"]);

  std::vector<std::shared_ptr<grpc::Channel>> channels;
  std::vector<std::unique_ptr<v1::ResolutionService::Stub>> stubs;
  for (int i = 0; i < connections; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    channels.push_back(grpc::CreateCustomChannel(flags["address"], grpc::SslCredentials(tls), arguments));
    stubs.push_back(v1::ResolutionService::NewStub(channels.back()));
  }
  const auto credentials = v1::CredentialService::NewStub(channels[0]);
  const auto context = [&] {
    auto made = std::make_unique<grpc::ClientContext>();
    made->AddMetadata("authorization", "Bearer " + admin);
    return made;
  };
  v1::GetCredentialRequest get;
  get.set_name(credential);
  v1::Credential current;
  if (!credentials->GetCredential(context().get(), get, &current).ok()) {
    std::cerr << "no credential " << credential << "\n";
    return 1;
  }
  v1::WatchRequest request;
  request.mutable_resolve()->set_mcp_server(flags["mcp-server"]);
  Progress progress;
  progress.Expect(current.version());
  std::vector<std::unique_ptr<Watch>> watches;
  for (int i = 0; i < streams; ++i) {
    watches.push_back(std::make_unique<Watch>(stubs[i % connections].get(), tokens[i % tokens.size()], request,
                                              credential, &progress));
  }
  progress.Await(streams);
  std::printf("ready\n");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    progress.Expect(current.version() + 1);
    v1::RotateCredentialRequest rotate;
    rotate.set_name(credential);
    rotate.set_value("value of version " + std::to_string(current.version() + 1));
    const auto start = Clock::now();
    if (!credentials->RotateCredential(context().get(), rotate, &current).ok()) {
      std::cerr << "cannot rotate " << credential << "\n";
      return 1;
    }
    const auto last = progress.Await(streams);
    std::printf("%.1f\n", std::chrono::duration<double, std::milli>(last - start).count());
    std::fflush(stdout);
  }
  // The watches end with the process.
  std::_Exit(0);
}

}  // namespace
}  // namespace keyferry::bench

int main(int argc, char** argv) { return keyferry::bench::Run(keyferry::bench::ParseFlags(argc, argv)); }
