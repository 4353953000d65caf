#ifndef KEYFERRY_INJECTOR_WEBHOOK_HTTPS_HTTPS_CONNECTION_H_
#define KEYFERRY_INJECTOR_WEBHOOK_HTTPS_HTTPS_CONNECTION_H_

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "absl/time/time.h"
#include "injector/webhook/https/http_exchange.h"
#include "injector/webhook/https/listener_limits.h"

namespace keyferry::injector::webhook {

// One connection: TLS, then requests one after the other, each answered before the next is read (RFC 9112 section 9.3).
// Its state belongs to the strand of its socket.
class HttpsConnection : public std::enable_shared_from_this<HttpsConnection> {
 public:
  using Socket = boost::asio::ip::tcp::socket;

  // What all connections of a listener share; outlives them.
  struct Shared {
    HttpHandler handler;
    ListenerLimits limits;
    // Runs the handler.
    boost::asio::thread_pool* workers = nullptr;
    std::atomic<size_t> body_bytes{0};
    // Set before any connection is told to drain.
    std::atomic<bool> draining{false};
    // Requests that the handler was not asked for.
    std::atomic<uint64_t> turned_away{0};
  };

  // `on_end` is called once, when the connection is closed.
  HttpsConnection(Shared& shared, Socket socket, std::shared_ptr<boost::asio::ssl::context> tls,
                  std::function<void()> on_end);
  ~HttpsConnection();

  // These may be called on any thread.
  void Start();
  // Closes it once what has begun to arrive is answered.
  void Drain();
  // Closes it for another one: at once, or after the answer that is being made.
  void Retire();
  void Close();

  // Whether an answer is being made, and since when the connection has been no use otherwise: when it came, last began
  // or ended to send the head of a request, or was last answered. For any thread.
  bool answering() const { return answering_; }
  absl::Time unused_since() const { return absl::FromUnixNanos(unused_since_); }
  // Whether the handler has answered a request of it, other than about its health, which anybody may ask.
  bool served() const { return served_; }

 private:
  using ErrorCode = boost::system::error_code;
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using Response = boost::beast::http::response<boost::beast::http::string_body>;

  void Bound(absl::Duration at_most);
  void NoteUse();
  void Handshake();
  void WaitForRequest();
  void ReadHead();
  void OnHead(const ErrorCode& error);
  // Whether the client may ask for that at all.
  bool MayAsk(boost::beast::string_view target);
  void ReadBody();
  void OnBody(const ErrorCode& error);
  void CallHandler();
  // Answers what the handler is not asked for, and closes.
  void TurnAway(int status, const char* text);
  void Answer(HttpAnswer answer, bool close);
  void OnWritten(const ErrorCode& error, bool close);
  // Accounts for `size` bytes of a body; false if there are too many.
  bool Reserve(size_t size);
  void Release();
  void Shutdown();
  void DoClose();

  Shared& shared_;
  const std::shared_ptr<boost::asio::ssl::context> tls_;
  boost::asio::ssl::stream<boost::beast::tcp_stream> stream_;
  std::function<void()> on_end_;
  bool idle_ = false;
  bool closed_ = false;
  bool retired_ = false;
  std::atomic<bool> answering_{false};
  std::atomic<bool> served_{false};
  std::atomic<int64_t> unused_since_;
  size_t reserved_ = 0;
  boost::beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::optional<Response> response_;
};

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_HTTPS_HTTPS_CONNECTION_H_
