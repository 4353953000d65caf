#include "server/http/name_resolver.h"

#include <ares.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <list>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"

namespace keyferry::server {
namespace {

constexpr int kTimeoutMillis = 2000;
constexpr int kTries = 3;
constexpr int kMaxWaitMillis = 1000;

// One name that is being looked up, on a channel of its own. Used by the resolver's thread only.
class Lookup {
 public:
  Lookup(std::string host, NameResolver::Done done) : host_(std::move(host)), done_(std::move(done)) {}

  ~Lookup() {
    // Calls OnAnswer if it was not called.
    if (channel_ != nullptr) ares_destroy(channel_);
    done_(std::move(result_));
  }

  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

  void Start() {
    ares_options options = {};
    options.timeout = kTimeoutMillis;
    options.tries = kTries;
    const int code = ares_init_options(&channel_, &options, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
    if (code != ARES_SUCCESS) {
      channel_ = nullptr;
      Fail(code);
      return;
    }
    ares_addrinfo_hints hints = {};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    ares_getaddrinfo(channel_, host_.c_str(), /*service=*/nullptr, &hints, OnAnswer, this);
  }

  bool ended() const { return ended_; }

  // Appends what it waits for; returns after how many milliseconds it must be called without an event.
  int AddSockets(std::vector<pollfd>* polled) {
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    const int wanted = ares_getsock(channel_, sockets, ARES_GETSOCK_MAXNUM);
    first_ = polled->size();
    for (int i = 0; i < ARES_GETSOCK_MAXNUM; ++i) {
      const int events =
          (ARES_GETSOCK_READABLE(wanted, i) ? POLLIN : 0) | (ARES_GETSOCK_WRITABLE(wanted, i) ? POLLOUT : 0);
      if (events != 0) polled->push_back({sockets[i], static_cast<short>(events), 0});  // NOLINT: poll's own type.
    }
    count_ = polled->size() - first_;
    timeval longest = {kMaxWaitMillis / 1000, 0};
    timeval wait = longest;
    const timeval* const next = ares_timeout(channel_, &longest, &wait);
    return static_cast<int>(next->tv_sec * 1000 + next->tv_usec / 1000 + 1);
  }

  void OnEvents(const std::vector<pollfd>& polled) {
    for (size_t i = first_; i < first_ + count_; ++i) {
      const pollfd& socket = polled[i];
      const bool failed = (socket.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
      const bool readable = failed || (socket.revents & POLLIN) != 0;
      const bool writable = (socket.revents & POLLOUT) != 0;
      if (readable || writable) {
        ares_process_fd(channel_, readable ? socket.fd : ARES_SOCKET_BAD, writable ? socket.fd : ARES_SOCKET_BAD);
      }
    }
    // What has timed out.
    ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  }

 private:
  static void OnAnswer(void* lookup, int code, int /*timeouts*/, ares_addrinfo* answer) {
    static_cast<Lookup*>(lookup)->End(code, answer);
    if (answer != nullptr) ares_freeaddrinfo(answer);
  }

  void End(int code, const ares_addrinfo* answer) {
    if (code != ARES_SUCCESS || answer == nullptr) return Fail(code);
    std::vector<IpAddress> addresses;
    for (const ares_addrinfo_node* node = answer->nodes; node != nullptr; node = node->ai_next) {
      IpAddress address;
      if (node->ai_family == AF_INET) {
        const auto* const v4 = reinterpret_cast<const sockaddr_in*>(node->ai_addr);
        std::memcpy(address.bytes.data(), &v4->sin_addr, sizeof(v4->sin_addr));
      } else if (node->ai_family == AF_INET6) {
        const auto* const v6 = reinterpret_cast<const sockaddr_in6*>(node->ai_addr);
        address.v6 = true;
        std::memcpy(address.bytes.data(), &v6->sin6_addr, sizeof(v6->sin6_addr));
      } else {
        continue;
      }
      addresses.push_back(address);
    }
    if (addresses.empty()) return Fail(ARES_ENODATA);
    ended_ = true;
    result_ = std::move(addresses);
  }

  void Fail(int code) {
    if (ended_) return;
    ended_ = true;
    if (code == ARES_EDESTRUCTION || code == ARES_ECANCELLED) return;
    result_ = absl::UnavailableError(absl::StrCat("the name ", host_, " cannot be resolved: ", ares_strerror(code)));
  }

  const std::string host_;
  const NameResolver::Done done_;
  ares_channel channel_ = nullptr;
  bool ended_ = false;
  absl::StatusOr<std::vector<IpAddress>> result_ = absl::CancelledError("the server is stopping");
  size_t first_ = 0;
  size_t count_ = 0;
};

class SystemResolver : public NameResolver {
 public:
  explicit SystemResolver(int wake) : wake_(wake), thread_([this] { Run(); }) {}

  ~SystemResolver() override {
    {
      absl::MutexLock lock(&mutex_);
      stopping_ = true;
    }
    Wake();
    thread_.join();
    close(wake_);
  }

  void Resolve(const std::string& host, Done done) override {
    auto lookup = std::make_unique<Lookup>(host, std::move(done));
    {
      absl::MutexLock lock(&mutex_);
      added_.push_back(std::move(lookup));
    }
    Wake();
  }

 private:
  void Wake() {
    const uint64_t one = 1;
    // Fails only when the counter is full, and then the thread wakes anyway.
    (void)!write(wake_, &one, sizeof(one));
  }

  // False when it is to stop.
  bool TakeAdded() {
    std::list<std::unique_ptr<Lookup>> added;
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_) return false;
      added.swap(added_);
    }
    for (const auto& lookup : added) lookup->Start();
    lookups_.splice(lookups_.end(), added);
    return true;
  }

  void Run() {
    while (TakeAdded()) {
      lookups_.remove_if([](const std::unique_ptr<Lookup>& lookup) { return lookup->ended(); });
      std::vector<pollfd> polled = {{wake_, POLLIN, 0}};
      int wait = lookups_.empty() ? -1 : kMaxWaitMillis;
      for (const auto& lookup : lookups_) wait = std::min(wait, lookup->AddSockets(&polled));
      poll(polled.data(), polled.size(), wait);
      if (polled[0].revents != 0) {
        uint64_t count = 0;
        (void)!read(wake_, &count, sizeof(count));
      }
      for (const auto& lookup : lookups_) lookup->OnEvents(polled);
    }
    {
      absl::MutexLock lock(&mutex_);
      lookups_.splice(lookups_.end(), added_);
    }
    lookups_.clear();
  }

  const int wake_;
  absl::Mutex mutex_;
  std::list<std::unique_ptr<Lookup>> added_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::list<std::unique_ptr<Lookup>> lookups_;  // Of the thread.
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<NameResolver>> MakeSystemResolver() {
  if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS) return absl::InternalError("c-ares cannot be set up");
  const int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake < 0) return absl::ResourceExhaustedError("no file descriptor is left");
  return std::make_unique<SystemResolver>(wake);
}

}  // namespace keyferry::server
