#include "server/http/request_check.h"

#include <boost/beast/http/error.hpp>
#include <boost/beast/http/verb.hpp>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "server/http/url.h"

namespace keyferry::server {
namespace {

namespace http = boost::beast::http;

absl::string_view View(boost::beast::string_view text) { return absl::string_view(text.data(), text.size()); }

bool IsHttpError(const boost::system::error_code& error) {
  return error.category() == http::make_error_code(http::error::bad_value).category();
}

bool IsServedMethod(http::verb method) {
  return method == http::verb::get || method == http::verb::head || method == http::verb::post;
}

}  // namespace

int RefusalOfHead(const WipedParser<true>& parser, const std::string& authority, size_t max_body) {
  const auto& request = parser.get();
  if (request.count(http::field::host) != 1) return 400;
  // One framing, and of codings only that which Beast decodes.
  if (request.count(http::field::transfer_encoding) + request.count(http::field::content_length) > 1) return 400;
  const absl::string_view coding = View(request[http::field::transfer_encoding]);
  if (!coding.empty() && !absl::EqualsIgnoreCase(coding, "chunked")) return 400;
  if (!absl::StartsWith(View(request.target()), "/")) return 400;
  const absl::StatusOr<std::string> named = NormalizeAuthority(View(request[http::field::host]));
  if (!named.ok()) return 400;
  if (!authority.empty() && *named != authority) return 421;
  if (!IsServedMethod(request.method())) return 405;
  const absl::string_view expected = View(request[http::field::expect]);
  if (!expected.empty() && !absl::EqualsIgnoreCase(expected, "100-continue")) return 417;
  const auto size = parser.content_length();
  if (size.has_value() && *size > max_body) return 413;
  return 0;
}

int RefusalOfError(const boost::system::error_code& error, bool late) {
  if (late) return 408;
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::end_of_stream || error == http::error::partial_message) return 0;
  return IsHttpError(error) ? 400 : 0;
}

}  // namespace keyferry::server
