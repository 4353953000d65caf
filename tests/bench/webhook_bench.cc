// The webhook's answers: a pod rewritten in this process, and the whole way over TLS through the listener, on a
// connection that is kept as Kubernetes keeps it. Prints two lines, "p50 p99" in microseconds; each has its floor in a
// third and fourth figure: parsing the review alone, and a request for /healthz.
//
//   webhook_bench --review FILE --cert FILE --key FILE --count N
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "injector/webhook/admission_handler.h"
#include "injector/webhook/https/https_listener.h"
#include "injector/webhook/rewrite/bounded_json.h"
#include "injector/webhook/webhook_metrics.h"
#include "tests/bench/flags.h"

namespace keyferry::bench {
namespace {

using injector::webhook::HttpAsked;
using injector::webhook::HttpsListener;

struct Percentiles {
  double p50 = 0;
  double p99 = 0;
};

Percentiles Measure(int count, const std::function<void()>& operation) {
  using Clock = std::chrono::steady_clock;
  for (int i = 0; i < count / 10; ++i) operation();
  std::vector<double> microseconds;
  for (int i = 0; i < count; ++i) {
    const auto start = Clock::now();
    operation();
    microseconds.push_back(std::chrono::duration<double, std::micro>(Clock::now() - start).count());
  }
  std::sort(microseconds.begin(), microseconds.end());
  return {microseconds[microseconds.size() / 2], microseconds[microseconds.size() * 99 / 100]};
}

void Print(const Percentiles& subject, const Percentiles& floor) {
  printf("%.1f %.1f %.1f %.1f\n", subject.p50, subject.p99, floor.p50, floor.p99);
}

[[noreturn]] void Die(const std::string& what) {
  std::cerr << "webhook_bench: " << what << "\n";
  std::exit(1);
}

// A client on one connection. It trusts whatever the listener shows: the benchmark made it itself.
class Client {
 public:
  explicit Client(uint16_t port) : context_(SSL_CTX_new(TLS_client_method())), ssl_(SSL_new(context_.get())) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) Die("connect");
    // As Kubernetes' client does: otherwise the end of a long request waits for the acknowledgement of its beginning.
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    SSL_set_fd(ssl_.get(), socket_);
    if (SSL_connect(ssl_.get()) != 1) Die("TLS");
  }
  ~Client() { close(socket_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void Ask(const std::string& request) {
    if (SSL_write(ssl_.get(), request.data(), static_cast<int>(request.size())) <= 0) Die("write");
    std::string answer;
    size_t needed = std::string::npos;
    while (answer.size() < needed) {
      char buffer[16384];
      const int size = SSL_read(ssl_.get(), buffer, sizeof(buffer));
      if (size <= 0) Die("read");
      answer.append(buffer, static_cast<size_t>(size));
      const size_t end = answer.find("\r\n\r\n");
      if (needed != std::string::npos || end == std::string::npos) continue;
      const size_t length = answer.find("Content-Length: ") + 16;
      size_t body = 0;
      if (answer.compare(0, 13, "HTTP/1.1 200 ") != 0 ||
          !absl::SimpleAtoi(answer.substr(length, answer.find("\r\n", length) - length), &body)) {
        Die("answer");
      }
      needed = end + 4 + body;
    }
  }

 private:
  const bssl::UniquePtr<SSL_CTX> context_;
  const bssl::UniquePtr<SSL> ssl_;
  int socket_ = -1;
};

int Run(const std::string& review, const std::string& certificate, const std::string& key, int count) {
  injector::webhook::RewriteConfig config;
  config.org = "acme";
  injector::webhook::WebhookMetrics metrics;
  const auto handler = injector::webhook::MakeAdmissionHandler(
      config, [](absl::Time) { return injector::webhook::ReviewServices(); }, [](const std::string&) {}, &metrics);
  const HttpAsked asked = {"POST", "/mutate", review};
  if (handler(asked).body.find("\"patch\"") == std::string::npos) Die("the review is not rewritten");
  const Percentiles rewrite = Measure(count, [&] { handler(asked); });
  Print(rewrite, Measure(count, [&] {
          if (!injector::webhook::ParseBoundedJson(review).ok()) Die("parse");
        }));

  injector::webhook::TlsIdentity identity;
  identity.certificate = certificate;
  identity.key = client::SecretText(key.size());
  key.copy(identity.key.ExposeMutable(), key.size());
  const auto listener = HttpsListener::Start("127.0.0.1:0", identity, injector::webhook::ListenerLimits(), handler);
  if (!listener.ok()) Die(std::string(listener.status().message()));
  Client client((*listener)->port());
  const std::string request =
      absl::StrCat("POST /mutate?timeout=10s HTTP/1.1\r\nHost: keyferry-webhook.keyferry.svc\r\n",
                   "Content-Type: application/json\r\nContent-Length: ", review.size(), "\r\n\r\n", review);
  const Percentiles whole = Measure(count, [&] { client.Ask(request); });
  Print(whole, Measure(count, [&] { client.Ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); }));
  return 0;
}

}  // namespace
}  // namespace keyferry::bench

int main(int argc, char** argv) {
  using keyferry::bench::ReadFile;
  auto flags = keyferry::bench::ParseFlags(argc, argv);
  return keyferry::bench::Run(ReadFile(flags["review"]), ReadFile(flags["cert"]), ReadFile(flags["key"]),
                              std::stoi(flags["count"]));
}
