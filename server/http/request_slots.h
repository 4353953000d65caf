#ifndef KEYFERRY_SERVER_HTTP_REQUEST_SLOTS_H_
#define KEYFERRY_SERVER_HTTP_REQUEST_SLOTS_H_

#include <cstddef>
#include <functional>
#include <list>
#include <map>
#include <string>
#include <utility>

namespace keyferry::server {

// Decides how many requests run at the same time, in all and to one host, so that one slow host does not take what the
// others need. Those that do not fit wait in order, again bounded in all and by host. Not thread-safe.
class RequestSlots {
 public:
  struct Limits {
    size_t running = 256;
    size_t running_per_host = 16;
    size_t waiting = 1024;
    size_t waiting_per_host = 256;
  };

  explicit RequestSlots(const Limits& limits) : limits_(limits) {}

  // Calls `start` once, now or in a later Leave, unless Leave is called with `id` before. False if the request does not
  // even fit among those that wait. `id` is the request's own.
  bool Enter(const void* id, const std::string& host, std::function<void()> start);

  // The request has ended, having run or not. Starts those that fit now.
  void Leave(const void* id);

 private:
  struct Host {
    size_t running = 0;
    size_t waiting = 0;
  };
  struct Waiting {
    const void* id;
    std::string host;
    std::function<void()> start;
  };

  bool HasRoom(const Host& host) const;
  void Forget(const std::string& name);

  const Limits limits_;
  std::map<std::string, Host> hosts_;
  std::map<const void*, std::string> running_;
  std::list<Waiting> waiting_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_REQUEST_SLOTS_H_
