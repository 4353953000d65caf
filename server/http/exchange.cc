#include "server/http/exchange.h"

#include <algorithm>
#include <array>
#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "openssl/err.h"
#include "openssl/x509.h"
#include "server/http/tls.h"

namespace keyferry::server {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using Tcp = asio::ip::tcp;

constexpr size_t kMaxHead = 32 << 10;
// Beast reads a chunk's head and extensions whole.
constexpr size_t kMaxBuffer = 128 << 10;
constexpr size_t kMaxAddresses = 8;
constexpr int kMaxInterimAnswers = 4;
constexpr std::chrono::seconds kConnectTimeout(5);
constexpr absl::Duration kMaxTimeout = absl::Hours(1);

Tcp::endpoint EndpointOf(const IpAddress& address, uint16_t port) {
  if (address.v6) {
    asio::ip::address_v6::bytes_type bytes;
    std::copy(address.bytes.begin(), address.bytes.end(), bytes.begin());
    return Tcp::endpoint(asio::ip::address_v6(bytes), port);
  }
  asio::ip::address_v4::bytes_type bytes;
  std::copy_n(address.bytes.begin(), bytes.size(), bytes.begin());
  return Tcp::endpoint(asio::ip::address_v4(bytes), port);
}

}  // namespace

Exchange::Exchange(const Shared& shared, HttpRequest request, HttpsUrl url, HttpClient::Done done)
    : shared_(shared),
      request_(std::move(request)),
      url_(std::move(url)),
      done_(std::move(done)),
      deadline_(shared.io),
      connect_deadline_(shared.io),
      buffer_(kMaxBuffer) {}

Exchange::~Exchange() {
  storage::WipeString(message_);
  storage::WipeString(url_.target);
}

void Exchange::SetTimeout(absl::Duration timeout, std::function<void()> on_end) {
  on_end_ = std::move(on_end);
  deadline_.expires_after(absl::ToChronoNanoseconds(std::clamp(timeout, absl::ZeroDuration(), kMaxTimeout)));
  deadline_.async_wait([self = shared_from_this()](const ErrorCode& error) {
    if (error) return;
    self->End(absl::DeadlineExceededError(absl::StrCat(self->url_.host, " did not answer in time")));
  });
}

void Exchange::End(absl::StatusOr<HttpResponse> outcome) {
  if (ended_) return;
  ended_ = true;
  deadline_.cancel();
  connect_deadline_.cancel();
  if (stream_.has_value()) {
    ErrorCode ignored;
    stream_->next_layer().close(ignored);
  }
  if (on_end_) std::exchange(on_end_, nullptr)();
  std::exchange(done_, nullptr)(std::move(outcome));
}

void Exchange::Fail(absl::string_view what, absl::string_view why) {
  std::string message = absl::StrCat(url_.host, ": ", what);
  if (!why.empty()) absl::StrAppend(&message, ": ", why);
  End(absl::UnavailableError(message));
}

void Exchange::Start() {
  if (ended_) return;
  const auto literal = ParseIpAddress(url_.host);
  if (literal.ok()) return OnAddresses(std::vector<IpAddress>{*literal});
  shared_.resolver.Resolve(url_.host, [self = shared_from_this()](absl::StatusOr<std::vector<IpAddress>> addresses) {
    asio::post(self->shared_.io,
               [self, addresses = std::move(addresses)]() mutable { self->OnAddresses(std::move(addresses)); });
  });
}

void Exchange::OnAddresses(absl::StatusOr<std::vector<IpAddress>> addresses) {
  if (ended_) return;
  if (!addresses.ok()) return End(addresses.status());
  for (const IpAddress& address : *addresses) {
    if (addresses_.size() < kMaxAddresses && shared_.guard.Allows(address, url_.port)) addresses_.push_back(address);
  }
  if (addresses_.empty()) {
    return End(absl::PermissionDeniedError(absl::StrCat(
        url_.host, ": the address is not a public one, and `outbound.allowed_addresses` does not name it")));
  }
  ConnectToNext();
}

void Exchange::ConnectToNext() {
  if (ended_) return;
  // A new object for each address: a socket that failed, and the state of its TLS, are not used again.
  stream_.emplace(shared_.io, shared_.tls);
  const size_t left = addresses_.size() - next_address_;
  const auto until_end = deadline_.expiry() - std::chrono::steady_clock::now();
  connect_deadline_.expires_after(std::min<std::chrono::nanoseconds>(kConnectTimeout, until_end / left));
  // The number tells a timer that fired late which attempt it was for.
  connect_deadline_.async_wait([self = shared_from_this(), attempt = next_address_ + 1](const ErrorCode& error) {
    if (error || self->ended_ || self->next_address_ != attempt) return;
    ErrorCode ignored;
    self->stream_->next_layer().close(ignored);
  });
  const Tcp::endpoint endpoint = EndpointOf(addresses_[next_address_++], url_.port);
  stream_->next_layer().async_connect(endpoint, [self = shared_from_this()](const ErrorCode& error) {
    if (self->ended_) return;
    self->connect_deadline_.cancel();
    // The deadline may have closed a socket whose connection had just been made.
    if (!error && self->stream_->next_layer().is_open()) return self->Handshake();
    if (self->next_address_ < self->addresses_.size()) return self->ConnectToNext();
    const bool late = !error || error == asio::error::operation_aborted;
    self->Fail("cannot be connected to", late ? "no answer" : error.message());
  });
}

void Exchange::Handshake() {
  ErrorCode ignored;
  stream_->next_layer().set_option(Tcp::no_delay(true), ignored);
  SSL* const ssl = stream_->native_handle();
  absl::Status ready = ExpectServer(url_, ssl);
  if (ready.ok() && request_.identity != nullptr) ready = UseIdentity(*request_.identity, ssl);
  if (!ready.ok()) return End(ready);
  stream_->async_handshake(Stream::client, [self = shared_from_this()](const ErrorCode& error) {
    if (self->ended_) return;
    if (error) return self->FailHandshake(error);
    self->WriteRequest();
  });
}

void Exchange::FailHandshake(const ErrorCode& error) {
  if (error.category() == asio::error::get_ssl_category() &&
      ERR_GET_REASON(static_cast<uint32_t>(error.value())) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
    return Fail("the server's certificate is not trusted",
                X509_verify_cert_error_string(SSL_get_verify_result(stream_->native_handle())));
  }
  Fail("TLS failed", error.message());
}

void Exchange::ComposeMessage() {
  // One allocation, so that no copy of a secret stays behind as the text grows.
  size_t size = 256 + url_.target.size() + url_.host.size() + shared_.user_agent.size() + request_.body.size();
  for (const auto& [name, value] : request_.headers) size += name.size() + value.size() + 4;
  message_.reserve(size);
  absl::StrAppend(&message_, request_.method, " ", url_.target, " HTTP/1.1\r\nHost: ", url_.Authority(),
                  "\r\nUser-Agent: ", shared_.user_agent, "\r\nAccept-Encoding: identity\r\nConnection: close\r\n");
  for (const auto& [name, value] : request_.headers) absl::StrAppend(&message_, name, ": ", value, "\r\n");
  if (!request_.body.empty() || (request_.method != "GET" && request_.method != "HEAD")) {
    absl::StrAppend(&message_, "Content-Length: ", request_.body.size(), "\r\n");
  }
  absl::StrAppend(&message_, "\r\n", request_.body);
}

void Exchange::WriteRequest() {
  ComposeMessage();
  asio::async_write(*stream_, asio::buffer(message_),
                    [self = shared_from_this()](const ErrorCode& error, size_t /*size*/) {
                      if (self->ended_) return;
                      // A server may answer and close before it has read everything: what it says counts.
                      if (error && error != asio::error::broken_pipe && error != asio::error::connection_reset) {
                        return self->Fail("the request cannot be sent", error.message());
                      }
                      storage::WipeString(self->message_);
                      self->ReadAnswer();
                    });
}

void Exchange::ReadAnswer() {
  parser_.emplace();
  parser_->header_limit(kMaxHead);
  parser_->body_limit(shared_.max_body);
  if (request_.method == "HEAD") parser_->skip(true);
  http::async_read(*stream_, buffer_, *parser_, [self = shared_from_this()](const ErrorCode& error, size_t /*size*/) {
    if (!self->ended_) self->OnAnswer(error);
  });
}

void Exchange::OnAnswer(const ErrorCode& error) {
  if (error == http::error::header_limit || error == http::error::body_limit || error == http::error::buffer_overflow) {
    return End(absl::ResourceExhaustedError(absl::StrCat(url_.host, ": the answer is too large")));
  }
  if (error == http::error::end_of_stream || error == http::error::partial_message || error == asio::error::eof ||
      error == asio::ssl::error::stream_truncated || error == asio::error::connection_reset) {
    return Fail("the connection ended before the whole answer was there");
  }
  if (error && error.category() == http::make_error_code(http::error::bad_value).category()) {
    return Fail("the answer is not valid HTTP", error.message());
  }
  // TLS 1.3 refuses a client certificate only after the handshake.
  if (error) return Fail("the answer cannot be read", error.message());
  const auto& answer = parser_->get();
  if (answer.result_int() == 101) return Fail("the answer is not valid HTTP", "the protocol was switched");
  if (answer.result_int() < 200) {
    if (++interim_answers_ > kMaxInterimAnswers) return Fail("the answer is not valid HTTP", "no final answer");
    return ReadAnswer();
  }
  HttpResponse response;
  response.status = static_cast<int>(answer.result_int());
  for (const auto& field : answer) {
    response.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
  }
  response.body.assign(answer.body().data(), answer.body().size());
  const absl::string_view encoding = response.Header("content-encoding");
  if (!encoding.empty() && !absl::EqualsIgnoreCase(encoding, "identity")) {
    return Fail("the answer is compressed, which was not asked for");
  }
  End(std::move(response));
}

}  // namespace keyferry::server
