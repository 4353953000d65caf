// Sends one kind of request from a number of callers, each over its own mutual-TLS connection and with one request at a
// time, for a number of seconds; prints `requests_per_second p50_us p99_us refused_per_second` on one line. Callers
// share two threads of gRPC's own and leave answers as bytes, so that the load itself stays small beside what it
// measures. Flags: --address --ca --cert --key --method floor|resolve|rotate --callers --seconds; for resolve and
// rotate --token; for resolve --mcp-server; for rotate --credentials, to which each caller adds its number.
// `--method size` makes one Resolve and prints the bytes of its answer.
// `--per-second N` sends N requests a second instead of one after the other, from one caller.
// `--refused again` goes on where the server is busy or limits the rate, at once, as a bad neighbour would.
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "keyferry/v1/credentials.pb.h"
#include "keyferry/v1/resolution.grpc.pb.h"
#include "tests/bench/flags.h"

namespace keyferry::bench {
namespace {

using Clock = std::chrono::steady_clock;

// One caller: sends the next request as soon as the last was answered.
class Caller {
 public:
  using Send = std::function<void(grpc::ClientContext*, std::function<void(grpc::Status)>)>;

  // `flood`: goes on at once after a refusal.
  Caller(Send send, Clock::time_point end, bool flood, std::function<void()> done)
      : send_(std::move(send)), end_(end), flood_(flood), done_(std::move(done)) {}

  void Start() { Next(); }
  const std::vector<double>& latencies_us() const { return latencies_us_; }
  uint64_t refused() const { return refused_; }

 private:
  void Next() {
    context_ = std::make_unique<grpc::ClientContext>();
    sent_ = Clock::now();
    send_(context_.get(), [this](const grpc::Status& status) {
      const auto now = Clock::now();
      if (flood_ && status.error_code() == grpc::RESOURCE_EXHAUSTED) {
        ++refused_;
        return now < end_ ? Next() : done_();
      }
      if (!status.ok()) {
        std::cerr << "request failed: " << status.error_message() << "\n";
        std::exit(1);
      }
      latencies_us_.push_back(std::chrono::duration<double, std::micro>(now - sent_).count());
      if (now < end_) {
        Next();
      } else {
        done_();
      }
    });
  }

  const Send send_;
  const Clock::time_point end_;
  const bool flood_;
  const std::function<void()> done_;
  std::unique_ptr<grpc::ClientContext> context_;
  Clock::time_point sent_;
  std::vector<double> latencies_us_;
  uint64_t refused_ = 0;
};

class Load {
 public:
  explicit Load(std::map<std::string, std::string> flags) : flags_(std::move(flags)) {
    tls_.pem_root_certs = ReadFile(flags_["ca"]);
    tls_.pem_cert_chain = ReadFile(flags_["cert"]);
    tls_.pem_private_key = ReadFile(flags_["key"]);
    if (flags_.count("token")) {
      token_ = ReadFile(flags_["token"]);
      while (!token_.empty() && token_.back() == '\n') token_.pop_back();
    }
    resolve_.set_mcp_server(flags_["mcp-server"]);
    const std::string& method = flags_["method"];
    method_ = method == "floor"    ? "/keyferry.bench.FloorService/Answer"
              : method == "rotate" ? "/keyferry.v1.CredentialService/RotateCredential"
                                   : "/keyferry.v1.ResolutionService/Resolve";
  }

  void PrintSize() {
    auto channel = grpc::CreateChannel(flags_["address"], grpc::SslCredentials(tls_));
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token_);
    v1::ResolveResponse response;
    const grpc::Status status = v1::ResolutionService::NewStub(channel)->Resolve(&context, resolve_, &response);
    if (!status.ok()) {
      std::cerr << "Resolve failed: " << status.error_message() << "\n";
      std::exit(1);
    }
    std::printf("%zu\n", response.ByteSizeLong());
  }

  void Run() {
    if (flags_["method"] == "size") return PrintSize();
    if (flags_.count("per-second")) return RunPaced();
    const int count = std::stoi(flags_["callers"]);
    const auto seconds = std::chrono::duration<double>(std::stod(flags_["seconds"]));
    for (int i = 0; i < count; ++i) Connect();
    const auto start = Clock::now();
    const auto end = start + std::chrono::duration_cast<Clock::duration>(seconds);
    running_ = count;
    for (auto& send : sends_) {
      callers_.push_back(std::make_unique<Caller>(send, end, flags_["refused"] == "again", [this] { Done(); }));
    }
    for (auto& caller : callers_) caller->Start();
    std::unique_lock<std::mutex> lock(mutex_);
    all_done_.wait(lock, [this] { return running_ == 0; });
    Print(std::chrono::duration<double>(Clock::now() - start).count());
  }

 private:
  // A connection of its own for one caller, established before the clock starts.
  void Connect() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    auto channel = grpc::CreateCustomChannel(flags_["address"], grpc::SslCredentials(tls_), arguments);
    if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10))) {
      std::cerr << "no connection to " << flags_["address"] << "\n";
      std::exit(1);
    }
    auto stub = std::make_shared<grpc::GenericStub>(channel);
    auto response = std::make_shared<grpc::ByteBuffer>();
    const grpc::Slice bytes(RequestOf(sends_.size()));
    auto request = std::make_shared<grpc::ByteBuffer>(&bytes, 1);
    sends_.push_back(
        [this, stub, request, response](grpc::ClientContext* context, std::function<void(grpc::Status)> done) {
          context->AddMetadata("authorization", "Bearer " + token_);
          stub->UnaryCall(context, method_, grpc::StubOptions(), request.get(), response.get(), std::move(done));
        });
  }

  std::string RequestOf(size_t caller) {
    if (flags_["method"] == "floor") return "";
    if (flags_["method"] != "rotate") return resolve_.SerializeAsString();
    v1::RotateCredentialRequest rotate;
    rotate.set_name(flags_["credentials"] + std::to_string(caller));
    rotate.set_value("a value of the benchmark");
    rotate.mutable_grace();
    return rotate.SerializeAsString();
  }

  // Starts each request at its time, whether or not the one before was late, and waits for it.
  void RunPaced() {
    Connect();
    const int per_second = std::stoi(flags_["per-second"]);
    const int count = static_cast<int>(per_second * std::stod(flags_["seconds"]));
    std::vector<double> latencies_us;
    const auto start = Clock::now();
    for (int i = 0; i < count; ++i) {
      const auto due = start + std::chrono::microseconds(int64_t{1000000} * i / per_second);
      std::this_thread::sleep_until(due);
      grpc::ClientContext context;
      std::promise<grpc::Status> answered;
      // From when it was to be sent: a late answer also delays those that wait behind it.
      const auto sent = std::max(due, std::min(Clock::now(), due + std::chrono::microseconds(200)));
      sends_[0](&context, [&](grpc::Status status) { answered.set_value(std::move(status)); });
      const grpc::Status status = answered.get_future().get();
      if (!status.ok()) {
        std::cerr << "request failed: " << status.error_message() << "\n";
        std::exit(1);
      }
      latencies_us.push_back(std::chrono::duration<double, std::micro>(Clock::now() - sent).count());
    }
    PrintLatencies(std::move(latencies_us), std::chrono::duration<double>(Clock::now() - start).count(), 0);
  }

  void Done() {
    std::lock_guard<std::mutex> lock(mutex_);
    if (--running_ == 0) all_done_.notify_one();
  }

  void Print(double elapsed_seconds) const {
    std::vector<double> all;
    uint64_t refused = 0;
    for (const auto& caller : callers_) {
      all.insert(all.end(), caller->latencies_us().begin(), caller->latencies_us().end());
      refused += caller->refused();
    }
    PrintLatencies(std::move(all), elapsed_seconds, refused);
  }

  static void PrintLatencies(std::vector<double> all, double elapsed_seconds, uint64_t refused) {
    if (all.empty()) all.push_back(0);
    std::sort(all.begin(), all.end());
    std::printf("%.0f %.1f %.1f %.0f\n", all.size() / elapsed_seconds, all[all.size() / 2], all[all.size() * 99 / 100],
                refused / elapsed_seconds);
  }

  std::map<std::string, std::string> flags_;
  grpc::SslCredentialsOptions tls_;
  std::string token_;
  v1::ResolveRequest resolve_;
  std::string method_;
  std::vector<Caller::Send> sends_;
  std::vector<std::unique_ptr<Caller>> callers_;
  std::mutex mutex_;
  std::condition_variable all_done_;
  int running_ = 0;
};

}  // namespace
}  // namespace keyferry::bench

int main(int argc, char** argv) {
  keyferry::bench::Load(keyferry::bench::ParseFlags(argc, argv)).Run();
  return 0;
}
