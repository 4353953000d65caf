#include "injector/webhook/metrics_listener.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>
#include <list>
#include <thread>
#include <utility>

#include "injector/webhook/https/listening.h"
#include "metrics/exposition.h"

namespace keyferry::injector::webhook {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Tcp = asio::ip::tcp;
using ErrorCode = boost::system::error_code;

constexpr uint32_t kHeadBytes = 8 << 10;
// After accepting has failed, most likely since no descriptor is left.
constexpr std::chrono::milliseconds kPause(100);

// One request and its answer. All of it is on the listener's thread.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  Exchange(Tcp::socket socket, const MetricsListener::Source& source)
      : source_(source), stream_(std::move(socket)), buffer_(kHeadBytes) {}

  void Start(absl::Duration time) {
    parser_.header_limit(kHeadBytes);
    stream_.expires_after(absl::ToChronoNanoseconds(time));
    http::async_read(stream_, buffer_, parser_,
                     [self = shared_from_this()](const ErrorCode& error, size_t) { self->OnRead(error); });
  }

  void Close() { stream_.close(); }

 private:
  void OnRead(const ErrorCode& error) {
    const bool unreadable = error.category() == http::make_error_code(http::error::bad_value).category() &&
                            error != http::error::end_of_stream && error != http::error::partial_message;
    if (error && !unreadable) return Close();
    const auto& request = parser_.get();
    const beast::string_view target = request.target();
    const beast::string_view path = target.substr(0, target.find('?'));
    if (unreadable) {
      Answer(http::status::bad_request, "the request cannot be read\n");
    } else if (path != "/metrics") {
      Answer(http::status::not_found, "there is /metrics\n");
    } else if (request.method() != http::verb::get) {
      Answer(http::status::method_not_allowed, "GET only\n");
    } else {
      response_.set(http::field::content_type, metrics::Exposition::kContentType);
      Answer(http::status::ok, source_());
    }
  }

  void Answer(http::status status, std::string text) {
    response_.result(status);
    if (status != http::status::ok) response_.set(http::field::content_type, "text/plain; charset=utf-8");
    response_.set(http::field::cache_control, "no-store");
    response_.set("X-Content-Type-Options", "nosniff");
    response_.keep_alive(false);
    response_.body() = std::move(text);
    response_.prepare_payload();
    http::async_write(stream_, response_, [self = shared_from_this()](const ErrorCode&, size_t) {
      ErrorCode ignored;
      self->stream_.socket().shutdown(Tcp::socket::shutdown_send, ignored);
      self->Close();
    });
  }

  const MetricsListener::Source& source_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  http::request_parser<http::empty_body> parser_;
  http::response<http::string_body> response_;
};

}  // namespace

class MetricsListener::Core {
 public:
  Core(Source source, absl::Duration time) : source_(std::move(source)), time_(time), acceptor_(io_), pause_(io_) {}

  ~Core() {
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }

  absl::Status Start(const std::string& address) {
    if (absl::Status status = ListenOn(address, acceptor_); !status.ok()) return status;
    port_ = acceptor_.local_endpoint().port();
    Accept();
    thread_ = std::thread([this] { io_.run(); });
    return absl::OkStatus();
  }

  uint16_t port() const { return port_; }

 private:
  void Accept() {
    acceptor_.async_accept([this](const ErrorCode& error, Tcp::socket socket) {
      if (!error) {
        Take(std::move(socket));
        return Accept();
      }
      pause_.expires_after(kPause);
      pause_.async_wait([this](const ErrorCode& /*cancelled*/) { Accept(); });
    });
  }

  void Take(Tcp::socket socket) {
    exchanges_.remove_if([](const std::weak_ptr<Exchange>& exchange) { return exchange.expired(); });
    if (exchanges_.size() >= kConnections) {
      if (const auto oldest = exchanges_.front().lock()) oldest->Close();
      exchanges_.pop_front();
    }
    const auto exchange = std::make_shared<Exchange>(std::move(socket), source_);
    exchanges_.push_back(exchange);
    exchange->Start(time_);
  }

  const Source source_;
  const absl::Duration time_;
  std::list<std::weak_ptr<Exchange>> exchanges_;  // Of the thread, the oldest first.
  asio::io_context io_{1};
  Tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  uint16_t port_ = 0;
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<MetricsListener>> MetricsListener::Start(const std::string& address, Source source,
                                                                        absl::Duration time) {
  auto core = std::make_unique<Core>(std::move(source), time);
  if (absl::Status status = core->Start(address); !status.ok()) return status;
  return std::unique_ptr<MetricsListener>(new MetricsListener(std::move(core)));
}

MetricsListener::MetricsListener(std::unique_ptr<Core> core) : core_(std::move(core)) {}

MetricsListener::~MetricsListener() = default;

uint16_t MetricsListener::port() const { return core_->port(); }

}  // namespace keyferry::injector::webhook
