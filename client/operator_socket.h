#ifndef KEYFERRY_CLIENT_OPERATOR_SOCKET_H_
#define KEYFERRY_CLIENT_OPERATOR_SOCKET_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace keyferry::client {

// Sends one request, a line of JSON, to the server that runs on the data directory of this machine, and hands each line
// of its answer to `on_line`. Both ends are the same user, or this one is root.
//
// NOT_FOUND: no server has such a socket there. PERMISSION_DENIED: not allowed to use it. UNAVAILABLE: the server
// ended, or does not answer.
absl::Status AskOperatorSocket(const std::string& data_dir, const std::string& request,
                               const std::function<void(absl::string_view line)>& on_line);

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_OPERATOR_SOCKET_H_
