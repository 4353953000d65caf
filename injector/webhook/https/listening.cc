#include "injector/webhook/https/listening.h"

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace keyferry::injector::webhook {
namespace {

using Tcp = boost::asio::ip::tcp;
using ErrorCode = boost::system::error_code;

constexpr int kBacklog = 128;

absl::StatusOr<Tcp::endpoint> ParseEndpoint(const std::string& text) {
  const size_t colon = text.rfind(':');
  std::string host = colon == std::string::npos ? "" : text.substr(0, colon);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  int port = -1;
  ErrorCode error;
  const boost::asio::ip::address address = boost::asio::ip::make_address(host, error);
  if (error || !absl::SimpleAtoi(text.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("no address to listen on: ", text, "; give IP:PORT"));
  }
  return Tcp::endpoint(address, static_cast<uint16_t>(port));
}

}  // namespace

absl::Status ListenOn(const std::string& address, Tcp::acceptor& acceptor) {
  const absl::StatusOr<Tcp::endpoint> endpoint = ParseEndpoint(address);
  if (!endpoint.ok()) return endpoint.status();
  ErrorCode error;
  acceptor.open(endpoint->protocol(), error);
  if (!error) acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(*endpoint, error);
  if (!error) acceptor.listen(kBacklog, error);
  if (!error) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("cannot be listened on (", error.message(), "): ", address, "; give another address"));
}

}  // namespace keyferry::injector::webhook
