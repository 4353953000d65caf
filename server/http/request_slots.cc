#include "server/http/request_slots.h"

namespace keyferry::server {

bool RequestSlots::HasRoom(const Host& host) const {
  return running_.size() < limits_.running && host.running < limits_.running_per_host;
}

void RequestSlots::Forget(const std::string& name) {
  const auto found = hosts_.find(name);
  if (found->second.running == 0 && found->second.waiting == 0) hosts_.erase(found);
}

bool RequestSlots::Enter(const void* id, const std::string& host, std::function<void()> start) {
  Host& counts = hosts_[host];
  if (HasRoom(counts)) {
    ++counts.running;
    running_.emplace(id, host);
    start();
    return true;
  }
  if (waiting_.size() >= limits_.waiting || counts.waiting >= limits_.waiting_per_host) {
    Forget(host);
    return false;
  }
  ++counts.waiting;
  waiting_.push_back({id, host, std::move(start)});
  return true;
}

void RequestSlots::Leave(const void* id) {
  const auto running = running_.find(id);
  if (running == running_.end()) {
    for (auto it = waiting_.begin(); it != waiting_.end(); ++it) {
      if (it->id != id) continue;
      const std::string host = std::move(it->host);
      --hosts_[host].waiting;
      waiting_.erase(it);
      Forget(host);
      return;
    }
    return;
  }
  const std::string host = std::move(running->second);
  running_.erase(running);
  --hosts_[host].running;
  Forget(host);
  for (auto it = waiting_.begin(); it != waiting_.end() && running_.size() < limits_.running;) {
    Host& counts = hosts_[it->host];
    if (!HasRoom(counts)) {
      ++it;
      continue;
    }
    --counts.waiting;
    ++counts.running;
    Waiting next = std::move(*it);
    it = waiting_.erase(it);
    running_.emplace(next.id, std::move(next.host));
    next.start();
  }
}

}  // namespace keyferry::server
