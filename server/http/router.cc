#include "server/http/router.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "server/http/answer.h"

namespace keyferry::server {

void Router::Exact(const std::string& method, const std::string& path, HttpHandler handler) {
  exact_[path][method] = std::move(handler);
}

void Router::Prefix(const std::string& method, const std::string& prefix, HttpHandler handler) {
  prefixes_[prefix][method] = std::move(handler);
}

const Router::Methods* Router::Find(const std::string& path) const {
  if (const auto found = exact_.find(path); found != exact_.end()) return &found->second;
  // In reverse order, a longer prefix comes before those that it starts with.
  for (auto it = prefixes_.rbegin(); it != prefixes_.rend(); ++it) {
    if (absl::StartsWith(path, it->first)) return &it->second;
  }
  return nullptr;
}

void Router::Handle(ReceivedRequest request, std::function<void(HttpResponse)> respond) const {
  const Methods* const methods = Find(request.request.url.substr(0, request.request.url.find('?')));
  if (methods == nullptr) return respond(PlainAnswer(404));
  auto found = methods->find(request.request.method);
  if (found == methods->end() && request.request.method == "HEAD") found = methods->find("GET");
  if (found != methods->end()) return found->second(std::move(request), std::move(respond));
  std::vector<std::string> allowed;
  for (const auto& [method, handler] : *methods) {
    allowed.push_back(method);
    if (method == "GET") allowed.push_back("HEAD");
  }
  HttpResponse answer = PlainAnswer(405);
  answer.headers.emplace_back("Allow", absl::StrJoin(allowed, ", "));
  respond(std::move(answer));
}

}  // namespace keyferry::server
