#include "server/http/http_client.h"

#include "absl/strings/match.h"

namespace keyferry::server {
namespace {

void WipeHeaders(HttpHeaders& headers) {
  for (auto& [name, value] : headers) storage::WipeString(value);
}

}  // namespace

HttpRequest::~HttpRequest() {
  storage::WipeString(url);
  WipeHeaders(headers);
  storage::WipeString(body);
}

HttpResponse::~HttpResponse() {
  WipeHeaders(headers);
  storage::WipeString(body);
}

absl::string_view HttpResponse::Header(absl::string_view name) const {
  for (const auto& [header, value] : headers) {
    if (absl::EqualsIgnoreCase(header, name)) return value;
  }
  return "";
}

}  // namespace keyferry::server
