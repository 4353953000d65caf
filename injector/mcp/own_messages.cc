#include "injector/mcp/own_messages.h"

#include "absl/strings/str_cat.h"
#include "injector/mcp/json_object.h"

namespace keyferry::injector::mcp {

std::string ErrorMessage(absl::string_view id, int code, absl::string_view message) {
  return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id, R"(,"error":{"code":)", code, R"(,"message":)",
                      QuoteJsonString(message), "}}");
}

std::string EmptyResultMessage(absl::string_view id) {
  return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id, R"(,"result":{}})");
}

std::string RequestMessage(absl::string_view id, absl::string_view method, absl::string_view params) {
  return absl::StrCat(R"({"jsonrpc":"2.0","id":)", id, R"(,"method":)", QuoteJsonString(method), R"(,"params":)",
                      params, "}");
}

std::string NotificationMessage(absl::string_view method) {
  return absl::StrCat(R"({"jsonrpc":"2.0","method":)", QuoteJsonString(method), "}");
}

std::string CancelledMessage(absl::string_view request_id, absl::string_view reason) {
  return absl::StrCat(R"({"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":)", request_id,
                      R"(,"reason":)", QuoteJsonString(reason), "}}");
}

std::string Spliced(absl::string_view text, absl::string_view part, absl::string_view replacement) {
  const size_t offset = static_cast<size_t>(part.data() - text.data());
  return absl::StrCat(text.substr(0, offset), replacement, text.substr(offset + part.size()));
}

}  // namespace keyferry::injector::mcp
