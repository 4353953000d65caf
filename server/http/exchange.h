#ifndef KEYFERRY_SERVER_HTTP_EXCHANGE_H_
#define KEYFERRY_SERVER_HTTP_EXCHANGE_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "server/http/address_guard.h"
#include "server/http/http_client.h"
#include "server/http/name_resolver.h"
#include "server/http/url.h"
#include "server/http/wiped_buffers.h"

namespace keyferry::server {

// One request on one connection of its own. Lives on the one thread that runs `io`: every method is called there.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  // What all exchanges of a client share; outlives them.
  struct Shared {
    boost::asio::io_context& io;
    boost::asio::ssl::context& tls;
    NameResolver& resolver;
    const AddressGuard& guard;
    size_t max_body;
    std::string user_agent;
  };

  // The request was checked and its URL is `url`. `on_end` is called before `done`.
  Exchange(const Shared& shared, HttpRequest request, HttpsUrl url, HttpClient::Done done);
  ~Exchange();

  const std::string& host() const { return url_.host; }

  // Ends with DEADLINE_EXCEEDED after `timeout`, whether it was started or not.
  void SetTimeout(absl::Duration timeout, std::function<void()> on_end);
  void Start();
  // Closes the connection and calls `done`; nothing if that was done.
  void End(absl::StatusOr<HttpResponse> outcome);

 private:
  using Stream = boost::asio::ssl::stream<boost::asio::ip::tcp::socket>;
  using ErrorCode = boost::system::error_code;

  void OnAddresses(absl::StatusOr<std::vector<IpAddress>> addresses);
  void ConnectToNext();
  void Handshake();
  void WriteRequest();
  void ReadAnswer();
  void OnAnswer(const ErrorCode& error);
  // Ends with UNAVAILABLE.
  void Fail(absl::string_view what, absl::string_view why = "");
  void FailHandshake(const ErrorCode& error);
  void ComposeMessage();

  const Shared& shared_;
  HttpRequest request_;
  HttpsUrl url_;
  HttpClient::Done done_;
  std::function<void()> on_end_;
  bool ended_ = false;
  boost::asio::steady_timer deadline_;
  boost::asio::steady_timer connect_deadline_;
  std::vector<IpAddress> addresses_;  // Those that the guard allows.
  size_t next_address_ = 0;
  std::optional<Stream> stream_;
  std::string message_;
  WipedBuffer buffer_;
  std::optional<WipedParser<false>> parser_;
  int interim_answers_ = 0;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_EXCHANGE_H_
