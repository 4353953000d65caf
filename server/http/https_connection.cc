#include "server/http/https_connection.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/read.hpp>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "server/http/answer.h"
#include "server/http/request_check.h"

namespace keyferry::server {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;

constexpr size_t kReadSize = 4096;
constexpr size_t kMaxDiscarded = 256 << 10;
constexpr absl::Duration kLingerTime = absl::Seconds(2);
constexpr absl::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

}  // namespace

template <typename Work>
void HttpsGate::Post(Work work) {
  absl::MutexLock lock(&mutex_);
  if (io_ != nullptr) asio::post(*io_, std::move(work));
}

void HttpsGate::Close() {
  absl::MutexLock lock(&mutex_);
  io_ = nullptr;
}

// What a handler answers through: once, from any thread, and whether or not the connection is still there. A handler
// that drops it without an answer has failed.
class HttpsConnection::Responder {
 public:
  Responder(const std::shared_ptr<HttpsConnection>& connection, uint64_t request)
      : gate_(connection->shared_.gate), connection_(connection), request_(request) {}

  ~Responder() { Answer(PlainAnswer(500)); }

  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;

  void Answer(HttpResponse answer) {
    if (answered_.exchange(true)) return;
    gate_->Post([connection = connection_, request = request_, answer = std::move(answer)]() mutable {
      const std::shared_ptr<HttpsConnection> alive = connection.lock();
      if (alive == nullptr) return;
      asio::dispatch(alive->stream_.get_executor(), [alive, request, answer = std::move(answer)]() mutable {
        alive->OnAnswer(request, std::move(answer));
      });
    });
  }

 private:
  const std::shared_ptr<HttpsGate> gate_;
  const std::weak_ptr<HttpsConnection> connection_;
  const uint64_t request_;
  std::atomic<bool> answered_{false};
};

HttpsConnection::HttpsConnection(const Shared& shared, Socket socket, std::shared_ptr<asio::ssl::context> tls,
                                 std::string peer, std::function<void()> on_end)
    : shared_(shared),
      tls_(std::move(tls)),
      stream_(std::move(socket), *tls_),
      timer_(stream_.get_executor()),
      peer_(std::move(peer)),
      on_end_(std::move(on_end)),
      buffer_(shared.max_head + shared.max_body) {}

void HttpsConnection::Start() {
  asio::dispatch(stream_.get_executor(), [self = shared_from_this()] { self->Handshake(); });
}

void HttpsConnection::Drain() {
  asio::dispatch(stream_.get_executor(), [self = shared_from_this()] {
    if (self->step_ == Step::kHandshake || self->step_ == Step::kIdle) self->DoClose();
  });
}

void HttpsConnection::Close() {
  asio::dispatch(stream_.get_executor(), [self = shared_from_this()] { self->DoClose(); });
}

void HttpsConnection::Enter(Step step, absl::Duration at_most) {
  step_ = step;
  late_ = false;
  SetTimer(at_most);
}

void HttpsConnection::SetTimer(absl::Duration at_most) {
  timer_.expires_after(absl::ToChronoNanoseconds(at_most));
  timer_.async_wait([self = shared_from_this(), turn = ++turn_](const ErrorCode& error) {
    if (!error && turn == self->turn_) self->OnLate();
  });
}

void HttpsConnection::OnLate() {
  ErrorCode ignored;
  switch (step_) {
    case Step::kHead:
    case Step::kBody:
      if (late_) return DoClose();
      // The read ends with an error, and then the peer is told. Unless it was just going on and was not met.
      late_ = true;
      SetTimer(kLingerTime);
      stream_.next_layer().cancel(ignored);
      return;
    case Step::kHandler:
      return Answer(PlainAnswer(504), /*close=*/true);
    default:
      return DoClose();
  }
}

void HttpsConnection::DoClose() {
  if (step_ == Step::kClosed) return;
  step_ = Step::kClosed;
  ++turn_;
  timer_.cancel();
  ErrorCode ignored;
  stream_.next_layer().close(ignored);
  if (on_end_) std::exchange(on_end_, nullptr)();
}

void HttpsConnection::Handshake() {
  if (step_ == Step::kClosed) return;
  ErrorCode ignored;
  stream_.next_layer().set_option(asio::ip::tcp::no_delay(true), ignored);
  Enter(Step::kHandshake, shared_.deadlines.handshake);
  stream_.async_handshake(asio::ssl::stream_base::server, [self = shared_from_this()](const ErrorCode& error) {
    if (self->step_ == Step::kClosed) return;
    if (error) return self->DoClose();
    self->WaitForRequest();
  });
}

void HttpsConnection::WaitForRequest() {
  if (buffer_.size() != 0) return ReadHead();
  if (shared_.draining) return Linger();
  Enter(Step::kIdle, shared_.deadlines.idle);
  stream_.async_read_some(buffer_.prepare(kReadSize), [self = shared_from_this()](const ErrorCode& error, size_t size) {
    if (self->step_ == Step::kClosed) return;
    if (error) return self->DoClose();
    self->buffer_.commit(size);
    self->ReadHead();
  });
}

void HttpsConnection::ReadHead() {
  Enter(Step::kHead, shared_.deadlines.head);
  ++requests_;
  to_head_ = false;
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(shared_.max_head));
  parser_->body_limit(shared_.max_body);
  http::async_read_header(stream_, buffer_, *parser_,
                          [self = shared_from_this()](const ErrorCode& error, size_t /*size*/) {
                            if (self->step_ != Step::kClosed) self->OnHead(error);
                          });
}

void HttpsConnection::OnHead(const ErrorCode& error) {
  const int status = error ? RefusalOfError(error, late_)
                           : RefusalOfHead(*parser_, shared_.any_host ? "" : shared_.authority, shared_.max_body);
  if (error && status == 0) return DoClose();
  if (status == 405) {
    HttpResponse refusal = PlainAnswer(405);
    refusal.headers.emplace_back("Allow", "GET, HEAD, POST");
    return Answer(refusal, /*close=*/true);
  }
  if (status != 0) return Answer(PlainAnswer(status), /*close=*/true);
  to_head_ = parser_->get().method() == http::verb::head;
  ReadBody();
}

void HttpsConnection::ReadBody() {
  Enter(Step::kBody, shared_.deadlines.body);
  const bool asked = parser_->get().count(http::field::expect) != 0 && !parser_->is_done();
  const auto read = [self = shared_from_this()](const ErrorCode& error, size_t /*size*/) {
    if (self->step_ == Step::kClosed) return;
    if (error) return self->OnBody(error);
    http::async_read(self->stream_, self->buffer_, *self->parser_, [self](const ErrorCode& error, size_t /*size*/) {
      if (self->step_ != Step::kClosed) self->OnBody(error);
    });
  };
  if (!asked) return read(ErrorCode(), 0);
  asio::async_write(stream_, asio::buffer(kContinue.data(), kContinue.size()), read);
}

void HttpsConnection::OnBody(const ErrorCode& error) {
  if (!error) return CallHandler();
  const int status = RefusalOfError(error, late_);
  if (status == 0) return DoClose();
  Answer(PlainAnswer(status), /*close=*/true);
}

void HttpsConnection::CallHandler() {
  Enter(Step::kHandler, shared_.deadlines.handler);
  ReceivedRequest received;
  auto& request = parser_->get();
  received.peer = peer_;
  received.request.method = std::string(request.method_string());
  received.request.url = std::string(request.target());
  for (const auto& field : request) {
    received.request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  received.request.body.assign(request.body().data(), request.body().size());
  const auto responder = std::make_shared<Responder>(shared_from_this(), turn_);
  shared_.handler(std::move(received), [responder](HttpResponse answer) { responder->Answer(std::move(answer)); });
}

void HttpsConnection::OnAnswer(uint64_t request, HttpResponse answer) {
  // Too late, or for a request before.
  if (step_ != Step::kHandler || turn_ != request) return;
  const auto& asked = parser_->get();
  const bool close =
      shared_.draining || requests_ >= shared_.max_requests || !asked.keep_alive() || asked.version() < 11;
  Answer(answer, close);
}

void HttpsConnection::Answer(const HttpResponse& answer, bool close) {
  AnswerForm form;
  form.to_head = to_head_;
  form.close = close;
  form.only_https = shared_.only_https;
  form.now = absl::Now();
  absl::StatusOr<std::string> message = ComposeAnswer(answer, form);
  if (!message.ok()) message = ComposeAnswer(PlainAnswer(500), form);
  message_ = *std::move(message);
  parser_.reset();
  Enter(Step::kWrite, shared_.deadlines.write);
  asio::async_write(stream_, asio::buffer(message_),
                    [self = shared_from_this(), close](const ErrorCode& error, size_t /*size*/) {
                      storage::WipeString(self->message_);
                      if (self->step_ == Step::kClosed) return;
                      if (error) return self->DoClose();
                      self->OnWritten(close);
                    });
}

void HttpsConnection::OnWritten(bool close) {
  if (close || shared_.draining) return Linger();
  WaitForRequest();
}

void HttpsConnection::Linger() {
  Enter(Step::kLinger, kLingerTime);
  stream_.async_shutdown([self = shared_from_this()](const ErrorCode& error) {
    if (self->step_ == Step::kClosed) return;
    // The peer has ended its side as well.
    if (!error || error == asio::error::eof) return self->DoClose();
    ErrorCode ignored;
    self->stream_.next_layer().shutdown(Socket::shutdown_send, ignored);
    self->Discard();
  });
}

void HttpsConnection::Discard() {
  // Of the socket: it does not matter any more what it is. What was read before needs no room.
  buffer_.clear();
  stream_.next_layer().async_read_some(buffer_.prepare(kReadSize),
                                       [self = shared_from_this()](const ErrorCode& error, size_t size) {
                                         if (self->step_ == Step::kClosed) return;
                                         self->discarded_ += size;
                                         if (error || self->discarded_ > kMaxDiscarded) return self->DoClose();
                                         self->Discard();
                                       });
}

}  // namespace keyferry::server
