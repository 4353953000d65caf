#ifndef KEYFERRY_INJECTOR_MCP_OWN_MESSAGES_H_
#define KEYFERRY_INJECTOR_MCP_OWN_MESSAGES_H_

#include <string>

#include "absl/strings/string_view.h"

namespace keyferry::injector::mcp {

// JSON-RPC messages that the router writes itself, without a line break. An `id` is a token: a string with its quotes,
// a number, or `null`.

// Codes of JSON-RPC 2.0, section 5.1.
inline constexpr int kParseError = -32700;
inline constexpr int kInvalidRequest = -32600;
// Of the range for implementations.
inline constexpr int kServerGone = -32000;  // As MCP's SDKs say of a closed connection.
inline constexpr int kDrainedTooLong = -32001;
inline constexpr int kTooManyHeld = -32002;

// Ids of replayed requests are strings that begin so; a client may not use them.
inline constexpr absl::string_view kReplayIdPrefix = "keyferry-replay-";

std::string ErrorMessage(absl::string_view id, int code, absl::string_view message);
std::string EmptyResultMessage(absl::string_view id);
std::string RequestMessage(absl::string_view id, absl::string_view method, absl::string_view params);
std::string NotificationMessage(absl::string_view method);
std::string CancelledMessage(absl::string_view request_id, absl::string_view reason);

// `text` with `part`, which is a view into it, replaced.
std::string Spliced(absl::string_view text, absl::string_view part, absl::string_view replacement);

}  // namespace keyferry::injector::mcp

#endif  // KEYFERRY_INJECTOR_MCP_OWN_MESSAGES_H_
