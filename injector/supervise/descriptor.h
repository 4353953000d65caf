#ifndef KEYFERRY_INJECTOR_SUPERVISE_DESCRIPTOR_H_
#define KEYFERRY_INJECTOR_SUPERVISE_DESCRIPTOR_H_

#include <sys/types.h>

#include <cstddef>
#include <utility>

namespace keyferry::injector {

// Owns a file descriptor and closes it.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) Reset(std::exchange(other.number_, -1));
    return *this;
  }
  ~Descriptor() { Reset(); }

  int get() const { return number_; }
  bool valid() const { return number_ >= 0; }
  void Reset(int number = -1);

 private:
  int number_ = -1;
};

// A pipe, both ends close-on-exec and blocking. Both invalid if there is none to be had (errno says why).
struct Pipe {
  Descriptor read_end;
  Descriptor write_end;

  static Pipe Make();
};

// Makes reads or writes of a descriptor that is shared with other processes return instead of waiting, without setting
// O_NONBLOCK on what is shared, which those processes would notice.
class SharedEndpoint {
 public:
  // `number` stays the caller's; it is written to or read from for as long as this object is used.
  static SharedEndpoint ForReading(int number);
  static SharedEndpoint ForWriting(int number);
  // Takes over a descriptor that nobody else holds open, and sets O_NONBLOCK on it.
  static SharedEndpoint Own(Descriptor descriptor);

  SharedEndpoint(SharedEndpoint&&) = default;
  SharedEndpoint& operator=(SharedEndpoint&&) = default;

  // As read(2) and write(2): -1 with EAGAIN instead of waiting. A regular file may make the caller wait.
  ssize_t Read(char* data, size_t size) const;
  ssize_t Write(const char* data, size_t size) const;

  // What to wait for with epoll.
  int number() const { return own_.valid() ? own_.get() : shared_; }

 private:
  enum class Way {
    kNonBlocking,  // O_NONBLOCK is set on an open file description of our own
    kSocket,       // MSG_DONTWAIT
    kPollFirst,    // ask poll(2) before each call, and write no more than a pipe takes at once
    kAlwaysReady,  // a regular file
  };
  SharedEndpoint(Way way, int shared, Descriptor own) : way_(way), shared_(shared), own_(std::move(own)) {}
  static SharedEndpoint Open(int number, int flags);

  Way way_;
  int shared_;
  Descriptor own_;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_DESCRIPTOR_H_
