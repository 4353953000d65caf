#ifndef KEYFERRY_SERVER_HTTP_TESTING_CLIENT_H_
#define KEYFERRY_SERVER_HTTP_TESTING_CLIENT_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "server/http/beast_client.h"
#include "server/http/ip_address.h"
#include "server/http/name_resolver.h"

namespace keyferry::server {

// Answers from a table that a test fills in; a name that is not in it is not answered before the end.
class FakeResolver : public NameResolver {
 public:
  ~FakeResolver() override {
    for (auto& [host, done] : pending_) done(absl::CancelledError("the resolver has ended"));
  }

  // The answers of a name, in their order; the last one stays.
  static std::vector<IpAddress> Addresses(const std::vector<std::string>& texts) {
    std::vector<IpAddress> addresses;
    for (const std::string& text : texts) addresses.push_back(*ParseIpAddress(text));
    return addresses;
  }
  void Answer(const std::string& host, const std::vector<std::string>& addresses) {
    absl::MutexLock lock(&mutex_);
    answers_[host].push_back(Addresses(addresses));
  }
  int calls() {
    absl::MutexLock lock(&mutex_);
    return calls_;
  }

  void Resolve(const std::string& host, Done done) override {
    std::vector<IpAddress> addresses;
    {
      absl::MutexLock lock(&mutex_);
      ++calls_;
      const auto found = answers_.find(host);
      if (found == answers_.end()) {
        pending_.emplace_back(host, std::move(done));
        return;
      }
      addresses = found->second.front();
      if (found->second.size() > 1) found->second.erase(found->second.begin());
    }
    if (addresses.empty()) return done(absl::UnavailableError("no such name"));
    done(std::move(addresses));
  }

 private:
  absl::Mutex mutex_;
  std::map<std::string, std::vector<std::vector<IpAddress>>> answers_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::pair<std::string, Done>> pending_;
  int calls_ ABSL_GUARDED_BY(mutex_) = 0;
};

// What becomes of one request.
class Pending {
 public:
  HttpClient::Done Done() {
    return [state = state_](absl::StatusOr<HttpResponse> outcome) {
      state->outcome = std::move(outcome);
      ++state->calls;
      if (state->calls == 1) state->ended.Notify();
    };
  }
  bool ended() const { return state_->ended.HasBeenNotified(); }
  absl::StatusOr<HttpResponse>& Wait() {
    state_->ended.WaitForNotification();
    return state_->outcome;
  }
  // How often it ended; once its client is gone.
  int calls() const { return state_->calls; }

 private:
  struct State {
    absl::Notification ended;
    absl::StatusOr<HttpResponse> outcome = absl::UnknownError("no outcome");
    int calls = 0;
  };

  std::shared_ptr<State> state_ = std::make_shared<State>();
};

inline absl::StatusOr<HttpResponse> SendAndWait(HttpClient& client, HttpRequest request,
                                                absl::Duration timeout = absl::Seconds(60)) {
  Pending pending;
  client.Send(std::move(request), timeout, pending.Done());
  return std::move(pending.Wait());
}

inline HttpRequest Get(const std::string& url) {
  HttpRequest request;
  request.url = url;
  return request;
}

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_TESTING_CLIENT_H_
