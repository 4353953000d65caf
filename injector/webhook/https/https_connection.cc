#include "injector/webhook/https/https_connection.h"

#include <boost/asio/dispatch.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <exception>
#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "openssl/ssl.h"

namespace keyferry::injector::webhook {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr size_t kReadSize = 16 << 10;
constexpr absl::Duration kShutdownTime = absl::Seconds(2);

HttpAnswer Plain(int status, const char* text) {
  HttpAnswer answer;
  answer.status = status;
  answer.body = text;
  return answer;
}

// What a handler throws is its own failure, and not the end of the program.
HttpAnswer Handle(const HttpHandler& handler, const HttpAsked& asked) {
  try {
    return handler(asked);
  } catch (const std::exception&) {
    return Plain(500, "the request could not be answered\n");
  }
}

// Of a request that could not be read; 0 if the connection has just ended.
int StatusOf(const boost::system::error_code& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::end_of_stream || error == http::error::partial_message) return 0;
  return error.category() == http::make_error_code(http::error::bad_value).category() ? 400 : 0;
}

}  // namespace

HttpsConnection::HttpsConnection(Shared& shared, Socket socket, std::shared_ptr<asio::ssl::context> tls,
                                 std::function<void()> on_end)
    : shared_(shared),
      tls_(std::move(tls)),
      stream_(beast::tcp_stream(std::move(socket)), *tls_),
      on_end_(std::move(on_end)),
      unused_since_(absl::ToUnixNanos(absl::Now())),
      buffer_(shared.limits.head_bytes + shared.limits.body_bytes) {}

HttpsConnection::~HttpsConnection() {
  Release();
  if (on_end_) on_end_();
}

void HttpsConnection::Start() {
  asio::dispatch(stream_.get_executor(), [self = shared_from_this()] { self->Handshake(); });
}

void HttpsConnection::Drain() {
  asio::dispatch(stream_.get_executor(), [self = shared_from_this()] {
    if (self->idle_) self->DoClose();
  });
}

void HttpsConnection::Retire() {
  asio::dispatch(stream_.get_executor(), [self = shared_from_this()] {
    self->retired_ = true;
    if (!self->answering_) self->DoClose();
  });
}

void HttpsConnection::Close() {
  asio::dispatch(stream_.get_executor(), [self = shared_from_this()] { self->DoClose(); });
}

void HttpsConnection::Bound(absl::Duration at_most) {
  beast::get_lowest_layer(stream_).expires_after(absl::ToChronoNanoseconds(at_most));
}

void HttpsConnection::NoteUse() { unused_since_ = absl::ToUnixNanos(absl::Now()); }

void HttpsConnection::Handshake() {
  ErrorCode ignored;
  beast::get_lowest_layer(stream_).socket().set_option(asio::ip::tcp::no_delay(true), ignored);
  idle_ = true;
  Bound(shared_.limits.handshake);
  stream_.async_handshake(asio::ssl::stream_base::server, [self = shared_from_this()](const ErrorCode& error) {
    if (error || self->closed_) return self->DoClose();
    self->WaitForRequest();
  });
}

void HttpsConnection::WaitForRequest() {
  if (buffer_.size() != 0) return ReadHead();
  if (shared_.draining) return Shutdown();
  idle_ = true;
  Bound(shared_.limits.idle);
  stream_.async_read_some(buffer_.prepare(kReadSize), [self = shared_from_this()](const ErrorCode& error, size_t size) {
    if (error || self->closed_) return self->DoClose();
    self->buffer_.commit(size);
    self->ReadHead();
  });
}

void HttpsConnection::ReadHead() {
  idle_ = false;
  NoteUse();
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(shared_.limits.head_bytes));
  parser_->body_limit(shared_.limits.body_bytes);
  Bound(shared_.limits.head);
  http::async_read_header(stream_, buffer_, *parser_, [self = shared_from_this()](const ErrorCode& error, size_t) {
    if (!self->closed_) self->OnHead(error);
  });
}

void HttpsConnection::OnHead(const ErrorCode& error) {
  if (error) {
    const int status = StatusOf(error);
    return status == 0 ? DoClose() : TurnAway(status, "the request cannot be read\n");
  }
  NoteUse();
  const auto& head = parser_->get();
  if (!MayAsk(head.target())) {
    return TurnAway(403, "a client certificate is needed\n");
  }
  // One framing only, so that nobody before us could have read it differently.
  if (head.count(http::field::transfer_encoding) + head.count(http::field::content_length) > 1) {
    return TurnAway(400, "the length of the request is ambiguous\n");
  }
  const auto length = parser_->content_length();
  if (length.has_value() && *length > shared_.limits.body_bytes) {
    return TurnAway(413, "the request is too long\n");
  }
  const bool has_body = !parser_->is_done();
  if (has_body && !Reserve(length.has_value() ? static_cast<size_t>(*length) : shared_.limits.body_bytes)) {
    return TurnAway(503, "too many requests at once\n");
  }
  ReadBody();
}

bool HttpsConnection::MayAsk(beast::string_view target) {
  SSL* const ssl = stream_.native_handle();
  if ((SSL_get_verify_mode(ssl) & SSL_VERIFY_PEER) == 0 || target == kHealthPath) return true;
  // One that is there was verified in the handshake.
  const bssl::UniquePtr<X509> certificate(SSL_get_peer_certificate(ssl));
  return certificate != nullptr;
}

void HttpsConnection::ReadBody() {
  Bound(shared_.limits.body);
  http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](const ErrorCode& error, size_t) {
    if (!self->closed_) self->OnBody(error);
  });
}

void HttpsConnection::OnBody(const ErrorCode& error) {
  if (!error) return CallHandler();
  const int status = StatusOf(error);
  return status == 0 ? DoClose() : TurnAway(status, "the request cannot be read\n");
}

void HttpsConnection::CallHandler() {
  beast::get_lowest_layer(stream_).expires_never();
  HttpAsked asked;
  auto& request = parser_->get();
  asked.method = std::string(request.method_string());
  asked.target = std::string(request.target());
  asked.body = std::move(request.body());
  asked.received = absl::Now();
  answering_ = true;
  const bool close = !request.keep_alive();
  asio::post(*shared_.workers, [self = shared_from_this(), asked = std::move(asked), close] {
    HttpAnswer answer = Handle(self->shared_.handler, asked);
    const bool served = asked.target != kHealthPath;
    asio::dispatch(self->stream_.get_executor(), [self, close, served, answer = std::move(answer)]() mutable {
      if (served) self->served_ = true;
      self->NoteUse();
      self->answering_ = false;
      if (!self->closed_) self->Answer(std::move(answer), close);
    });
  });
}

void HttpsConnection::TurnAway(int status, const char* text) {
  ++shared_.turned_away;
  Answer(Plain(status, text), /*close=*/true);
}

void HttpsConnection::Answer(HttpAnswer answer, bool close) {
  close = close || retired_ || shared_.draining;
  response_.emplace(static_cast<http::status>(answer.status), 11);
  response_->set(http::field::content_type, answer.content_type);
  response_->set(http::field::cache_control, "no-store");
  response_->set("X-Content-Type-Options", "nosniff");
  response_->keep_alive(!close);
  response_->body() = std::move(answer.body);
  response_->prepare_payload();
  parser_.reset();
  NoteUse();
  Bound(shared_.limits.write);
  http::async_write(stream_, *response_, [self = shared_from_this(), close](const ErrorCode& error, size_t) {
    if (!self->closed_) self->OnWritten(error, close);
  });
}

void HttpsConnection::OnWritten(const ErrorCode& error, bool close) {
  response_.reset();
  Release();
  if (error) return DoClose();
  if (close) return Shutdown();
  WaitForRequest();
}

bool HttpsConnection::Reserve(size_t size) {
  if (shared_.body_bytes.fetch_add(size) + size > shared_.limits.all_body_bytes) {
    shared_.body_bytes -= size;
    return false;
  }
  reserved_ = size;
  return true;
}

void HttpsConnection::Release() { shared_.body_bytes -= std::exchange(reserved_, 0); }

void HttpsConnection::Shutdown() {
  idle_ = false;
  Bound(kShutdownTime);
  stream_.async_shutdown([self = shared_from_this()](const ErrorCode& /*error*/) { self->DoClose(); });
}

void HttpsConnection::DoClose() {
  if (std::exchange(closed_, true)) return;
  beast::get_lowest_layer(stream_).close();
}

}  // namespace keyferry::injector::webhook
