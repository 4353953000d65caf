#include "server/oauth/protocol/fake_http_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace keyferry::server {
namespace {

HttpResponse Page(int status) {
  HttpResponse response;
  response.status = status;
  response.headers = {{"Content-Type", "text/html; charset=utf-8"}};
  response.body = "<!DOCTYPE html><html><body><h1>Down for maintenance</h1></body></html>";
  return response;
}

}  // namespace

FakeHttpClient::~FakeHttpClient() {
  std::deque<Held> held;
  {
    absl::MutexLock lock(&mutex_);
    held.swap(held_);
  }
  for (Held& one : held) one.done(absl::CancelledError("the client is shutting down"));
}

void FakeHttpClient::Inject(Fault fault, int count, std::string url_prefix, std::string retry_after) {
  absl::MutexLock lock(&mutex_);
  faults_.push_back({fault, count, std::move(url_prefix), std::move(retry_after)});
}

void FakeHttpClient::ClearFaults() {
  absl::MutexLock lock(&mutex_);
  faults_.clear();
}

void FakeHttpClient::Hold() {
  absl::MutexLock lock(&mutex_);
  holding_ = true;
}

void FakeHttpClient::AwaitHeld(size_t count) {
  absl::MutexLock lock(&mutex_);
  const auto enough = [this, count]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return held_.size() >= count; };
  mutex_.Await(absl::Condition(&enough));
}

void FakeHttpClient::Release() {
  std::deque<Held> held;
  {
    absl::MutexLock lock(&mutex_);
    holding_ = false;
    held.swap(held_);
  }
  for (Held& one : held) one.done(std::move(one.answer));
}

std::vector<std::string> FakeHttpClient::requests() const {
  absl::MutexLock lock(&mutex_);
  return requests_;
}

int FakeHttpClient::Count(const std::string& url_prefix) const {
  absl::MutexLock lock(&mutex_);
  return static_cast<int>(std::count_if(requests_.begin(), requests_.end(), [&url_prefix](const std::string& request) {
    return absl::StartsWith(request.substr(request.find(' ') + 1), url_prefix);
  }));
}

FakeHttpClient::Injected FakeHttpClient::TakeFault(const std::string& url) {
  absl::MutexLock lock(&mutex_);
  for (auto at = faults_.begin(); at != faults_.end(); ++at) {
    if (!absl::StartsWith(url, at->url_prefix)) continue;
    Injected taken = *at;
    if (--at->count <= 0) faults_.erase(at);
    return taken;
  }
  return {Fault::kNone, 0, "", ""};
}

absl::StatusOr<HttpResponse> FakeHttpClient::Answer(const HttpRequest& request, const Injected& injected) {
  HttpResponse response;
  switch (injected.fault) {
    case Fault::kNone:
      break;
    case Fault::kTimeout:
      return absl::DeadlineExceededError("provider.test did not answer in time");
    case Fault::kAnswerLost:
      server_(request);
      return absl::UnavailableError("provider.test closed the connection before it answered");
    case Fault::kNoConnection:
      return absl::UnavailableError("provider.test refused the connection");
    case Fault::kAddressRefused:
      return absl::PermissionDeniedError("provider.test has the address 10.0.0.1, which is not public");
    case Fault::kAnswerTooLarge:
      return absl::ResourceExhaustedError("the answer of provider.test is too large");
    case Fault::kServerError:
      return Page(502);
    case Fault::kHtml:
      return Page(200);
    case Fault::kRateLimited:
      response = Page(429);
      if (!injected.retry_after.empty()) response.headers.emplace_back("Retry-After", injected.retry_after);
      return response;
    case Fault::kRedirect:
      response = Page(302);
      response.headers.emplace_back("Location", "https://elsewhere.test/token");
      return response;
  }
  return server_(request);
}

void FakeHttpClient::Send(HttpRequest request, absl::Duration, Done done) {
  {
    absl::MutexLock lock(&mutex_);
    requests_.push_back(absl::StrCat(request.method, " ", request.url.substr(0, request.url.find('?'))));
  }
  absl::StatusOr<HttpResponse> answer = Answer(request, TakeFault(request.url));
  {
    absl::MutexLock lock(&mutex_);
    if (holding_) {
      held_.push_back({std::move(answer), std::move(done)});
      return;
    }
  }
  done(std::move(answer));
}

}  // namespace keyferry::server
