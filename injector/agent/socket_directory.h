#ifndef KEYFERRY_INJECTOR_AGENT_SOCKET_DIRECTORY_H_
#define KEYFERRY_INJECTOR_AGENT_SOCKET_DIRECTORY_H_

#include <sys/types.h>

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "injector/supervise/descriptor.h"

namespace keyferry::injector::agent {

// A directory with one listening Unix socket of this process. It is opened once and never followed by name again, so
// that whoever can rename things above it gains nothing; the socket is made and removed within the open directory.
//
// INVALID_ARGUMENT, in the form "what: where; what to do": the directory is a symbolic link, not a directory or another
// user's, or its name is no socket. UNAVAILABLE: another process serves there.
class SocketDirectory {
 public:
  // Opens the directory; makes it with `mode` if there is none.
  static absl::StatusOr<SocketDirectory> Open(const std::string& path, mode_t mode);

  SocketDirectory(SocketDirectory&&) = default;
  SocketDirectory& operator=(SocketDirectory&&) = delete;
  // Removes the socket if it is still the one that Listen made.
  ~SocketDirectory();

  // Binds and listens under `name` with the permissions `mode`, non-blocking. A socket that nobody serves any more is
  // replaced; anything else of that name stays and is an error.
  absl::StatusOr<Descriptor> Listen(const std::string& name, mode_t mode);

  const std::string& path() const { return path_; }
  // Tells directories apart, whatever they are called.
  std::pair<dev_t, ino_t> identity() const { return identity_; }

 private:
  SocketDirectory(std::string path, Descriptor directory, std::pair<dev_t, ino_t> identity)
      : path_(std::move(path)), directory_(std::move(directory)), identity_(identity) {}
  absl::Status RemoveStale(const std::string& name) const;
  std::string Name(const std::string& name) const;

  std::string path_;
  Descriptor directory_;
  std::pair<dev_t, ino_t> identity_;
  std::string bound_;
  std::pair<dev_t, ino_t> bound_identity_;
};

}  // namespace keyferry::injector::agent

#endif  // KEYFERRY_INJECTOR_AGENT_SOCKET_DIRECTORY_H_
