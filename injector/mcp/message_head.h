#ifndef KEYFERRY_INJECTOR_MCP_MESSAGE_HEAD_H_
#define KEYFERRY_INJECTOR_MCP_MESSAGE_HEAD_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace keyferry::injector::mcp {

// What routing needs to know of a JSON-RPC 2.0 message. Views point into the text that was parsed.
struct MessageHead {
  enum class Kind { kRequest, kNotification, kResult, kError };

  Kind kind = Kind::kNotification;
  // The token as it stands; empty for a notification, `null` for an error that answers no known request.
  absl::string_view id;
  // Equal for ids that are equal as JSON values ("\u0061" and "a", 1 and 1.0), different for others. Empty with no or
  // a null id.
  std::string id_key;
  std::string method;
  // Empty if absent.
  absl::string_view params;
  absl::string_view result;
};

// Longer ids and methods are not taken.
inline constexpr size_t kMaxIdBytes = 4096;

// Parses one message, without its line break, as the MCP specification has it (basic/index#messages, revision
// 2025-06-18): `jsonrpc` is "2.0"; a request has a string or number for an id; a response has exactly one of `result`
// and `error`. False for everything else, and for whatever two readers could take differently: a member of these names
// that comes twice, or in other case, or any text that is not strict JSON (json_scanner.h). Other members are allowed.
// Time is linear, at the speed of memory for long strings.
bool ParseMessageHead(absl::string_view text, MessageHead& head);

// The key of an id or progress token, as in MessageHead::id_key. False if it is neither a string nor a number.
bool IdKey(absl::string_view token, std::string& key);

// A JSON-RPC batch (revision 2025-03-26 only, basic/index#batching).
bool IsBatch(absl::string_view text);
// Its elements, not parsed yet. False if it is not a strict JSON array or is empty.
bool SplitBatch(absl::string_view text, std::vector<absl::string_view>& elements);

}  // namespace keyferry::injector::mcp

#endif  // KEYFERRY_INJECTOR_MCP_MESSAGE_HEAD_H_
