#include "injector/mcp/server_requests.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace keyferry::injector::mcp {
namespace {

// 0, which is never given out, for what is not one of our numbers.
uint64_t ParseNumber(absl::string_view key) {
  uint64_t number = 0;
  return absl::ConsumePrefix(&key, "n") && absl::SimpleAtoi(key, &number) ? number : 0;
}

}  // namespace

uint64_t ServerRequests::Add(Request request) {
  requests_.emplace(next_, std::move(request));
  return next_++;
}

const ServerRequests::Request* ServerRequests::Find(const std::string& number_key) const {
  const auto entry = requests_.find(ParseNumber(number_key));
  return entry == requests_.end() ? nullptr : &entry->second;
}

uint64_t ServerRequests::NumberOf(ProcessId owner, const std::string& id_key) const {
  const auto entry = std::find_if(requests_.begin(), requests_.end(), [&](const auto& numbered) {
    return numbered.second.owner == owner && numbered.second.id_key == id_key;
  });
  return entry == requests_.end() ? 0 : entry->first;
}

void ServerRequests::Remove(const std::string& number_key) { requests_.erase(ParseNumber(number_key)); }

void ServerRequests::Remove(uint64_t number) { requests_.erase(number); }

size_t ServerRequests::CountOf(ProcessId owner) const {
  return static_cast<size_t>(std::count_if(requests_.begin(), requests_.end(),
                                           [&](const auto& numbered) { return numbered.second.owner == owner; }));
}

std::vector<uint64_t> ServerRequests::NumbersOf(ProcessId owner) const {
  std::vector<uint64_t> numbers;
  for (const auto& [number, request] : requests_) {
    if (request.owner == owner) numbers.push_back(number);
  }
  return numbers;
}

}  // namespace keyferry::injector::mcp
