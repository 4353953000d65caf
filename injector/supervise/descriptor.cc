#include "injector/supervise/descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace keyferry::injector {
namespace {

bool IsReady(int number, short events) {
  struct pollfd one = {number, events, 0};
  return poll(&one, 1, 0) > 0;
}

}  // namespace

void Descriptor::Reset(int number) {
  if (number_ >= 0) close(number_);
  number_ = number;
}

Pipe Pipe::Make() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return {};
  return {Descriptor(ends[0]), Descriptor(ends[1])};
}

SharedEndpoint SharedEndpoint::ForReading(int number) { return Open(number, O_RDONLY); }

SharedEndpoint SharedEndpoint::ForWriting(int number) { return Open(number, O_WRONLY); }

SharedEndpoint SharedEndpoint::Own(Descriptor descriptor) {
  fcntl(descriptor.get(), F_SETFL, fcntl(descriptor.get(), F_GETFL) | O_NONBLOCK);
  return SharedEndpoint(Way::kNonBlocking, -1, std::move(descriptor));
}

// A pipe or a terminal that is opened once more has its own flags. That fails where another user made it.
SharedEndpoint SharedEndpoint::Open(int number, int flags) {
  struct stat status;
  if (fstat(number, &status) != 0) return SharedEndpoint(Way::kAlwaysReady, number, Descriptor());
  if (S_ISSOCK(status.st_mode)) return SharedEndpoint(Way::kSocket, number, Descriptor());
  if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISBLK(status.st_mode)) {
    return SharedEndpoint(Way::kAlwaysReady, number, Descriptor());
  }
  char path[32];
  snprintf(path, sizeof(path), "/proc/self/fd/%d", number);
  Descriptor own(open(path, flags | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
  if (own.valid()) return SharedEndpoint(Way::kNonBlocking, number, std::move(own));
  return SharedEndpoint(Way::kPollFirst, number, Descriptor());
}

ssize_t SharedEndpoint::Read(char* data, size_t size) const {
  if (way_ == Way::kSocket) return recv(shared_, data, size, MSG_DONTWAIT);
  if (way_ == Way::kPollFirst && !IsReady(shared_, POLLIN)) {
    errno = EAGAIN;
    return -1;
  }
  return read(number(), data, size);
}

ssize_t SharedEndpoint::Write(const char* data, size_t size) const {
  if (way_ == Way::kSocket) return send(shared_, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (way_ == Way::kPollFirst) {
    if (!IsReady(shared_, POLLOUT)) {
      errno = EAGAIN;
      return -1;
    }
    size = std::min<size_t>(size, PIPE_BUF);
  }
  return write(number(), data, size);
}

}  // namespace keyferry::injector
