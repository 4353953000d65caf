#include "server/http/https_listener.h"

#include <algorithm>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <chrono>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "server/http/connection_counts.h"
#include "server/http/ip_address.h"
#include "server/http/tls.h"
#include "server/http/url.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using Strand = asio::strand<asio::io_context::executor_type>;
using ErrorCode = boost::system::error_code;

constexpr int kThreads = 2;
constexpr int kBacklog = 128;
// After accepting has failed, most likely since no descriptor is left.
constexpr std::chrono::milliseconds kPause(100);

Tcp::endpoint EndpointOf(const SocketAddress& listen) {
  return Tcp::endpoint(asio::ip::make_address(listen.address.ToString()), listen.port);
}

// A mapped IPv4 address is what an IPv6 socket accepts IPv4 clients from.
asio::ip::address AddressOf(const Tcp::endpoint& peer) {
  const asio::ip::address address = peer.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  }
  return address;
}

IpAddress CountedAs(const asio::ip::address& address) {
  IpAddress counted;
  counted.v6 = address.is_v6();
  if (counted.v6) {
    counted.bytes = address.to_v6().to_bytes();
  } else {
    const auto bytes = address.to_v4().to_bytes();
    std::copy(bytes.begin(), bytes.end(), counted.bytes.begin());
  }
  return counted;
}

std::string PeerText(const asio::ip::address& address, uint16_t port) {
  return address.is_v6() ? absl::StrCat("[", address.to_string(), "]:", port)
                         : absl::StrCat(address.to_string(), ":", port);
}

}  // namespace

class HttpsListener::Core {
 public:
  Core(const Options& options, HttpHandler handler)
      : options_(options),
        accept_strand_(asio::make_strand(io_)),
        acceptor_(accept_strand_),
        pause_(accept_strand_),
        counts_({options.max_connections, options.max_connections_per_address, options.max_connections_per_network}) {
    shared_.handler = std::move(handler);
    shared_.gate = std::make_shared<HttpsGate>(&io_);
    shared_.any_host = options.any_host;
    shared_.deadlines = options.deadlines;
    shared_.max_requests = options.max_requests_per_connection;
  }

  ~Core() {
    Drain(absl::ZeroDuration());
    shared_.gate->Close();
    work_.reset();
    for (std::thread& thread : threads_) thread.join();
  }

  absl::Status Listen() {
    ASSIGN_OR_RETURN(const SocketAddress listen, ParseListenAddress(options_.address));
    const Tcp::endpoint endpoint = EndpointOf(listen);
    ErrorCode error;
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(Tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(kBacklog, error);
    if (error) {
      return absl::UnavailableError(absl::StrCat(options_.address, " cannot be listened on: ", error.message()));
    }
    port_ = acceptor_.local_endpoint().port();
    const std::string reached = absl::StrCat("https://", SocketAddress{listen.address, port_}.ToString());
    ASSIGN_OR_RETURN(const HttpsUrl origin,
                     ParseHttpsOrigin(options_.public_url.empty() ? reached : options_.public_url));
    shared_.authority = origin.Authority();
    shared_.only_https = !origin.host_is_address && origin.host != "localhost";
    asio::dispatch(accept_strand_, [this] { Accept(); });
    for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { io_.run(); });
    return absl::OkStatus();
  }

  absl::Status SetCertificate(const std::string& certificate, const storage::SecretBytes& key) {
    ASSIGN_OR_RETURN(bssl::UniquePtr<SSL_CTX> context, MakeServerTls(certificate, key));
    auto tls = std::make_shared<asio::ssl::context>(context.release());
    absl::MutexLock lock(&mutex_);
    tls_ = std::move(tls);
    return absl::OkStatus();
  }

  void Drain(absl::Duration grace) {
    if (threads_.empty()) return;
    absl::Notification stopped;
    asio::dispatch(accept_strand_, [this, &stopped] {
      ErrorCode ignored;
      acceptor_.close(ignored);
      pause_.cancel();
      stopped.Notify();
    });
    stopped.WaitForNotification();
    shared_.draining = true;
    for (const auto& connection : Connections()) connection->Drain();
    const auto none_left = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return connections_.empty(); };
    {
      absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(absl::Condition(&none_left), grace);
    }
    for (const auto& connection : Connections()) connection->Close();
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&none_left));
  }

  uint16_t port() const { return port_; }
  std::string public_url() const { return absl::StrCat("https://", shared_.authority); }

 private:
  void Accept() {
    acceptor_.async_accept(asio::make_strand(io_),
                           [this](const ErrorCode& error, asio::basic_stream_socket<Tcp, Strand> socket) {
                             if (!acceptor_.is_open()) return;
                             if (!error) {
                               Admit(Tcp::socket(std::move(socket)));
                               return Accept();
                             }
                             pause_.expires_after(kPause);
                             pause_.async_wait([this](const ErrorCode& stopped) {
                               if (!stopped && acceptor_.is_open()) Accept();
                             });
                           });
  }

  // Starts to serve the connection, or closes it by dropping it.
  void Admit(Tcp::socket socket) {
    ErrorCode error;
    const Tcp::endpoint peer = socket.remote_endpoint(error);
    if (error) return;
    const asio::ip::address address = AddressOf(peer);
    const IpAddress counted_as = CountedAs(address);
    std::shared_ptr<HttpsConnection> connection;
    {
      absl::MutexLock lock(&mutex_);
      if (!counts_.Take(counted_as)) return;
      const uint64_t id = next_id_++;
      connection = std::make_shared<HttpsConnection>(shared_, std::move(socket), tls_, PeerText(address, peer.port()),
                                                     [this, id, counted_as] { Forget(id, counted_as); });
      connections_.emplace(id, connection);
    }
    connection->Start();
  }

  void Forget(uint64_t id, const IpAddress& counted_as) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    connections_.erase(id);
    counts_.GiveBack(counted_as);
  }

  std::vector<std::shared_ptr<HttpsConnection>> Connections() ABSL_LOCKS_EXCLUDED(mutex_) {
    std::vector<std::shared_ptr<HttpsConnection>> alive;
    absl::MutexLock lock(&mutex_);
    for (const auto& [id, connection] : connections_) {
      if (auto locked = connection.lock()) alive.push_back(std::move(locked));
    }
    return alive;
  }

  const Options options_;
  asio::io_context io_{kThreads};
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(io_);
  Strand accept_strand_;
  Tcp::acceptor acceptor_;    // Of the strand, once it listens.
  asio::steady_timer pause_;  // Of the strand.
  HttpsConnection::Shared shared_;
  uint16_t port_ = 0;
  absl::Mutex mutex_;
  std::shared_ptr<asio::ssl::context> tls_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, std::weak_ptr<HttpsConnection>> connections_ ABSL_GUARDED_BY(mutex_);
  ConnectionCounts counts_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::thread> threads_;
};

absl::StatusOr<std::unique_ptr<HttpsListener>> HttpsListener::Start(const Options& options,
                                                                    const std::string& certificate,
                                                                    const storage::SecretBytes& key,
                                                                    HttpHandler handler) {
  auto core = std::make_unique<Core>(options, std::move(handler));
  RETURN_IF_ERROR(core->SetCertificate(certificate, key));
  RETURN_IF_ERROR(core->Listen());
  return std::unique_ptr<HttpsListener>(new HttpsListener(std::move(core)));
}

HttpsListener::HttpsListener(std::unique_ptr<Core> core) : core_(std::move(core)) {}

HttpsListener::~HttpsListener() = default;

uint16_t HttpsListener::port() const { return core_->port(); }

std::string HttpsListener::public_url() const { return core_->public_url(); }

absl::Status HttpsListener::SetCertificate(const std::string& certificate, const storage::SecretBytes& key) {
  return core_->SetCertificate(certificate, key);
}

void HttpsListener::Drain(absl::Duration grace) { core_->Drain(grace); }

}  // namespace keyferry::server
