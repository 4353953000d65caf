#ifndef KEYFERRY_SERVER_BACKUPS_OPERATOR_SOCKET_H_
#define KEYFERRY_SERVER_BACKUPS_OPERATOR_SOCKET_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace keyferry::server {

// Name of the socket in the store's directory.
constexpr char kOperatorSocketName[] = "keyferryd.sock";

// A Unix-domain socket for the operator of the machine: mode 0600 in a directory of mode 0700, and only processes of
// the server's own user, or root, are answered. A connection brings one request, one line of at most 16 KiB within 5
// seconds. Four connections are served at once, on threads of the socket, so that whoever makes a backup or has one
// checked keeps nobody from asking; further ones wait.
class OperatorSocket {
 public:
  // Writes one line of the answer, without its newline; false if nobody reads any more.
  using Send = std::function<bool(absl::string_view line)>;
  // Answers one request. Called on threads of the socket, several at once.
  using Handler = std::function<void(const std::string& request, const Send& send)>;

  // Takes the place of a socket that an earlier process left; call with the store's lock held. UNAVAILABLE with the
  // system's reason.
  static absl::StatusOr<std::unique_ptr<OperatorSocket>> Listen(const std::string& directory, Handler handler);
  // Ends the threads once every call of the handler has returned, and removes the socket.
  virtual ~OperatorSocket() = default;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_BACKUPS_OPERATOR_SOCKET_H_
