#ifndef KEYFERRY_SERVER_HTTP_HTTPS_CONNECTION_H_
#define KEYFERRY_SERVER_HTTP_HTTPS_CONNECTION_H_

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/http/http_handler.h"
#include "server/http/wiped_buffers.h"

namespace keyferry::server {

// How long each step of a connection may take, however slowly its bytes arrive.
struct HttpsDeadlines {
  absl::Duration handshake = absl::Seconds(10);
  absl::Duration idle = absl::Seconds(30);
  absl::Duration head = absl::Seconds(10);
  absl::Duration body = absl::Seconds(15);
  absl::Duration handler = absl::Seconds(30);
  absl::Duration write = absl::Seconds(15);
};

// The way back from any thread to the threads of a listener, until they have ended.
class HttpsGate {
 public:
  explicit HttpsGate(boost::asio::io_context* io) : io_(io) {}

  // Runs `work` on a thread of the listener, or drops it.
  template <typename Work>
  void Post(Work work) ABSL_LOCKS_EXCLUDED(mutex_);
  void Close() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::Mutex mutex_;
  boost::asio::io_context* io_ ABSL_GUARDED_BY(mutex_);
};

// One connection: TLS, then requests one after the other, each answered before the next is read (RFC 9112 section 9.3).
// Its state belongs to the strand of its socket.
class HttpsConnection : public std::enable_shared_from_this<HttpsConnection> {
 public:
  using Socket = boost::asio::ip::tcp::socket;

  // What all connections of a listener share; outlives them.
  struct Shared {
    HttpHandler handler;
    std::shared_ptr<HttpsGate> gate;
    HttpsDeadlines deadlines;
    std::string authority;
    // Requests may name any other host as well.
    bool any_host = false;
    bool only_https = false;
    int max_requests = 100;
    size_t max_head = 16 << 10;
    size_t max_body = 64 << 10;
    // Set before any connection is told to drain, so that none asks for another request from then on.
    std::atomic<bool> draining{false};
  };

  // `on_end` is called once, when the connection is closed, on its strand.
  HttpsConnection(const Shared& shared, Socket socket, std::shared_ptr<boost::asio::ssl::context> tls, std::string peer,
                  std::function<void()> on_end);

  // These may be called on any thread while the listener's run.
  void Start();
  // With `Shared::draining` set: closes it once it has answered the request that it has begun to receive.
  void Drain();
  void Close();

 private:
  using ErrorCode = boost::system::error_code;
  enum class Step { kHandshake, kIdle, kHead, kBody, kHandler, kWrite, kLinger, kClosed };

  class Responder;

  // Enters a step and bounds it.
  void Enter(Step step, absl::Duration at_most);
  void SetTimer(absl::Duration at_most);
  void OnLate();
  void DoClose();
  void Handshake();
  void WaitForRequest();
  void ReadHead();
  void OnHead(const ErrorCode& error);
  void ReadBody();
  void OnBody(const ErrorCode& error);
  void CallHandler();
  void OnAnswer(uint64_t request, HttpResponse answer);
  void Answer(const HttpResponse& answer, bool close);
  void OnWritten(bool close);
  // Lets the peer read the answer before the connection is gone: what it still sends is read and dropped for a while.
  void Linger();
  void Discard();

  const Shared& shared_;
  const std::shared_ptr<boost::asio::ssl::context> tls_;
  boost::asio::ssl::stream<Socket> stream_;
  boost::asio::steady_timer timer_;
  const std::string peer_;
  std::function<void()> on_end_;
  Step step_ = Step::kHandshake;
  uint64_t turn_ = 0;  // Counts steps, so that a timer that fires late is known.
  bool late_ = false;
  bool to_head_ = false;
  int requests_ = 0;
  size_t discarded_ = 0;
  WipedBuffer buffer_;
  std::optional<WipedParser<true>> parser_;
  std::string message_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_HTTPS_CONNECTION_H_
