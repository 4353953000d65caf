#include "injector/mcp/server_process.h"

#include <algorithm>
#include <utility>

namespace keyferry::injector::mcp {

void ClientRequests::Add(const std::string& id_key, absl::string_view id, uint64_t record) {
  const auto [entry, added] = requests_.try_emplace(id_key);
  Request& request = entry->second;
  if (added) {
    ++open_;
  } else if (request.cancelled) {
    // The id is in use again; the cancelled request, which nobody waits for, gives way.
    request = Request();
    cancelled_.erase(std::find(cancelled_.begin(), cancelled_.end(), id_key));
    ++open_;
  } else {
    ++request.copies;
    ++open_;
  }
  request.id = std::string(id);
  request.record = record;
}

bool ClientRequests::Take(const std::string& id_key, Request& request) {
  const auto entry = requests_.find(id_key);
  if (entry == requests_.end()) return false;
  request = entry->second;
  if (request.cancelled) {
    cancelled_.erase(std::find(cancelled_.begin(), cancelled_.end(), id_key));
    requests_.erase(entry);
    return true;
  }
  --open_;
  request.copies = 1;
  if (--entry->second.copies == 0) requests_.erase(entry);
  return true;
}

bool ClientRequests::Cancel(const std::string& id_key) {
  const auto entry = requests_.find(id_key);
  if (entry == requests_.end() || entry->second.cancelled) return false;
  Request& request = entry->second;
  open_ -= static_cast<size_t>(request.copies);
  request.copies = 1;
  request.cancelled = true;
  cancelled_.push_back(id_key);
  if (cancelled_.size() > kMaxCancelled) {
    requests_.erase(cancelled_.front());
    cancelled_.pop_front();
  }
  return true;
}

const ClientRequests::Request* ClientRequests::Find(const std::string& id_key) const {
  const auto entry = requests_.find(id_key);
  return entry == requests_.end() ? nullptr : &entry->second;
}

std::vector<ClientRequests::Request> ClientRequests::TakeAll() {
  std::vector<std::pair<std::string, Request>> open;
  for (auto& [id_key, request] : requests_) {
    if (!request.cancelled) open.emplace_back(id_key, std::move(request));
  }
  requests_.clear();
  cancelled_.clear();
  open_ = 0;
  std::sort(open.begin(), open.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Request> taken;
  for (auto& [id_key, request] : open) taken.push_back(std::move(request));
  return taken;
}

}  // namespace keyferry::injector::mcp
