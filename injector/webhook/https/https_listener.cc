#include "injector/webhook/https/https_listener.h"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "injector/webhook/https/https_connection.h"
#include "injector/webhook/https/listening.h"
#include "injector/webhook/https/server_tls.h"

namespace keyferry::injector::webhook {
namespace {

namespace asio = boost::asio;
using Tcp = asio::ip::tcp;
using Strand = asio::strand<asio::io_context::executor_type>;
using ErrorCode = boost::system::error_code;

constexpr int kThreads = 2;
constexpr int kWorkers = 8;
// Connections that are being closed for others; beyond it new ones come faster than old ones can be closed.
constexpr size_t kMostRetired = 256;
// One of so many connections may be one that never had an answer without going before all others.
constexpr int kUnservedShare = 4;
// After accepting has failed, most likely since no descriptor is left.
constexpr std::chrono::milliseconds kPause(100);

// The one of several that has been unused for longest.
struct Longest {
  uint64_t id = 0;
  HttpsConnection* connection = nullptr;
  absl::Time unused_since = absl::InfiniteFuture();

  void Consider(uint64_t other_id, HttpsConnection* other) {
    const absl::Time since = other->unused_since();
    if (since >= unused_since) return;
    *this = {other_id, other, since};
  }
};

}  // namespace

class HttpsListener::Core {
 public:
  Core(const ListenerLimits& limits, HttpHandler handler)
      : accept_strand_(asio::make_strand(io_)), acceptor_(accept_strand_), pause_(accept_strand_), workers_(kWorkers) {
    shared_.handler = std::move(handler);
    shared_.limits = limits;
    shared_.workers = &workers_;
  }

  ~Core() {
    Drain(absl::ZeroDuration());
    workers_.join();
    work_.reset();
    for (std::thread& thread : threads_) thread.join();
  }

  absl::Status SetIdentity(const TlsIdentity& identity) {
    absl::StatusOr<bssl::UniquePtr<SSL_CTX>> context =
        MakeServerTls(identity.certificate, identity.key, identity.client_ca);
    if (!context.ok()) return context.status();
    auto tls = std::make_shared<asio::ssl::context>(context->release());
    absl::MutexLock lock(&mutex_);
    tls_ = std::move(tls);
    return absl::OkStatus();
  }

  absl::Status Listen(const std::string& address) {
    if (absl::Status status = ListenOn(address, acceptor_); !status.ok()) return status;
    port_ = acceptor_.local_endpoint().port();
    asio::dispatch(accept_strand_, [this] { Accept(); });
    for (int i = 0; i < kThreads; ++i) threads_.emplace_back([this] { io_.run(); });
    return absl::OkStatus();
  }

  void Drain(absl::Duration grace) {
    if (threads_.empty()) return;
    shared_.draining = true;
    absl::Notification stopped;
    asio::dispatch(accept_strand_, [this, &stopped] {
      ErrorCode ignored;
      acceptor_.close(ignored);
      pause_.cancel();
      stopped.Notify();
    });
    stopped.WaitForNotification();
    for (const auto& connection : Connections()) connection->Drain();
    const auto none_left = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return connections_.empty() && retired_.empty();
    };
    {
      absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(absl::Condition(&none_left), grace);
    }
    for (const auto& connection : Connections()) connection->Close();
    absl::MutexLock lock(&mutex_);
    mutex_.Await(absl::Condition(&none_left));
  }

  uint16_t port() const { return port_; }
  int connections() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return static_cast<int>(connections_.size());
  }
  uint64_t turned_away() const { return shared_.turned_away; }

 private:
  void Accept() {
    if (!acceptor_.is_open()) return;
    acceptor_.async_accept(asio::make_strand(io_),
                           [this](const ErrorCode& error, asio::basic_stream_socket<Tcp, Strand> socket) {
                             if (!acceptor_.is_open()) return;
                             if (!error) {
                               Take(Tcp::socket(std::move(socket)));
                               return Accept();
                             }
                             pause_.expires_after(kPause);
                             pause_.async_wait([this](const ErrorCode& /*cancelled*/) { Accept(); });
                           });
  }

  void Take(HttpsConnection::Socket socket) ABSL_LOCKS_EXCLUDED(mutex_) {
    std::shared_ptr<HttpsConnection> connection;
    // Let go of only after the lock: the end of a connection takes it.
    std::vector<std::shared_ptr<HttpsConnection>> held;
    {
      absl::MutexLock lock(&mutex_);
      if (static_cast<int>(connections_.size()) >= shared_.limits.connections && !RetireOne(&held)) return;
      const uint64_t id = next_id_++;
      connection = std::make_shared<HttpsConnection>(shared_, std::move(socket), tls_, [this, id] { Forget(id); });
      connections_.emplace(id, connection);
    }
    connection->Start();
  }

  // Closes the connection that has been unused for longest, so that whoever only holds connections keeps nobody out;
  // false if there is none, or too many are being closed already. Those that never had an answer go first, so that a
  // client's idle connection outlives them, except for the share of kUnservedShare: else whoever has got answers on all
  // others would have each new one closed by the next.
  bool RetireOne(std::vector<std::shared_ptr<HttpsConnection>>* held) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (retired_.size() >= kMostRetired) return false;
    Longest of_all, of_unserved;
    int unserved = 0;
    for (const auto& [id, weak] : connections_) {
      held->push_back(weak.lock());
      HttpsConnection* const connection = held->back().get();
      if (connection == nullptr || connection->answering()) continue;
      of_all.Consider(id, connection);
      if (connection->served()) continue;
      of_unserved.Consider(id, connection);
      ++unserved;
    }
    const Longest& goes = unserved > shared_.limits.connections / kUnservedShare ? of_unserved : of_all;
    if (goes.connection == nullptr) return false;
    retired_.insert(connections_.extract(goes.id));
    goes.connection->Retire();
    return true;
  }

  void Forget(uint64_t id) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    connections_.erase(id);
    retired_.erase(id);
  }

  std::vector<std::shared_ptr<HttpsConnection>> Connections() ABSL_LOCKS_EXCLUDED(mutex_) {
    std::vector<std::shared_ptr<HttpsConnection>> alive;
    absl::MutexLock lock(&mutex_);
    for (const auto* const map : {&connections_, &retired_}) {
      for (const auto& [id, connection] : *map) {
        if (auto locked = connection.lock()) alive.push_back(std::move(locked));
      }
    }
    return alive;
  }

  asio::io_context io_{kThreads};
  asio::executor_work_guard<asio::io_context::executor_type> work_ = asio::make_work_guard(io_);
  Strand accept_strand_;
  Tcp::acceptor acceptor_;    // Of the strand, once it listens.
  asio::steady_timer pause_;  // Of the strand.
  asio::thread_pool workers_;
  HttpsConnection::Shared shared_;
  uint16_t port_ = 0;
  absl::Mutex mutex_;
  std::shared_ptr<asio::ssl::context> tls_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, std::weak_ptr<HttpsConnection>> connections_ ABSL_GUARDED_BY(mutex_);
  // Those that are closed for others, until they are.
  std::map<uint64_t, std::weak_ptr<HttpsConnection>> retired_ ABSL_GUARDED_BY(mutex_);
  uint64_t next_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<std::thread> threads_;
};

absl::StatusOr<std::unique_ptr<HttpsListener>> HttpsListener::Start(const std::string& address,
                                                                    const TlsIdentity& identity,
                                                                    const ListenerLimits& limits, HttpHandler handler) {
  auto core = std::make_unique<Core>(limits, std::move(handler));
  if (absl::Status status = core->SetIdentity(identity); !status.ok()) return status;
  if (absl::Status status = core->Listen(address); !status.ok()) return status;
  return std::unique_ptr<HttpsListener>(new HttpsListener(std::move(core)));
}

HttpsListener::HttpsListener(std::unique_ptr<Core> core) : core_(std::move(core)) {}

HttpsListener::~HttpsListener() = default;

uint16_t HttpsListener::port() const { return core_->port(); }

int HttpsListener::connections() const { return core_->connections(); }

uint64_t HttpsListener::turned_away() const { return core_->turned_away(); }

absl::Status HttpsListener::SetIdentity(const TlsIdentity& identity) { return core_->SetIdentity(identity); }

void HttpsListener::Drain(absl::Duration grace) { core_->Drain(grace); }

}  // namespace keyferry::injector::webhook
