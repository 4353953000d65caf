#ifndef KEYFERRY_SERVER_WATCH_FAIR_QUEUE_H_
#define KEYFERRY_SERVER_WATCH_FAIR_QUEUE_H_

#include <deque>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace keyferry::server {

// A queue in which organizations take turns, so that one with much to do does not hold up the others. Not thread-safe.
template <typename T>
class FairQueue {
 public:
  void Push(const std::string& org, T item) {
    std::deque<T>& own = items_[org];
    if (own.empty()) turns_.push_back(org);
    own.push_back(std::move(item));
  }

  bool empty() const { return turns_.empty(); }

  // The queue must not be empty.
  T Pop() {
    std::string org = std::move(turns_.front());
    turns_.pop_front();
    const auto own = items_.find(org);
    T item = std::move(own->second.front());
    own->second.pop_front();
    if (own->second.empty()) {
      items_.erase(own);
    } else {
      turns_.push_back(std::move(org));
    }
    return item;
  }

 private:
  // Those that have items, each once.
  std::deque<std::string> turns_;
  absl::flat_hash_map<std::string, std::deque<T>> items_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_WATCH_FAIR_QUEUE_H_
