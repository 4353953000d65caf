#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_FAKE_HTTP_CLIENT_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_FAKE_HTTP_CLIENT_H_

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/http/http_client.h"

namespace keyferry::server {

// An HTTP client without a network, for tests: every request is answered by a function, and faults are put in its way.
// Answers come before Send returns, on the thread that called it, except for those that are held. Thread-safe.
class FakeHttpClient final : public HttpClient {
 public:
  using Server = std::function<HttpResponse(const HttpRequest&)>;
  explicit FakeHttpClient(Server server) : server_(std::move(server)) {}
  ~FakeHttpClient() override;

  enum class Fault {
    kNone,
    // DEADLINE_EXCEEDED; the server sees nothing.
    kTimeout,
    // The server acts, and its answer is lost: UNAVAILABLE.
    kAnswerLost,
    // UNAVAILABLE before anything is sent.
    kNoConnection,
    // PERMISSION_DENIED, as for a private address.
    kAddressRefused,
    // RESOURCE_EXHAUSTED, as for a body over the limit.
    kAnswerTooLarge,
    // 502 from something in between, in HTML.
    kServerError,
    // 429 with `Retry-After` of the Inject call; the server sees nothing.
    kRateLimited,
    // 200 with an HTML page.
    kHtml,
    // 302 to another host.
    kRedirect,
  };
  // For the next `count` requests whose URL begins with `url_prefix`; faults that were injected before come first.
  void Inject(Fault fault, int count = 1, std::string url_prefix = "", std::string retry_after = "");
  // Drops what was injected and has not happened.
  void ClearFaults();

  // From now on the server acts at once, and its answers wait for Release.
  void Hold();
  // Blocks until `count` answers wait.
  void AwaitHeld(size_t count);
  // Gives out the answers that wait, on this thread, and holds no more.
  void Release();

  // What was sent so far, as "METHOD URL"; whatever a query held is cut off.
  std::vector<std::string> requests() const;
  // Of requests whose URL begins with `url_prefix`.
  int Count(const std::string& url_prefix) const;

  void Send(HttpRequest request, absl::Duration timeout, Done done) override;

 private:
  struct Injected {
    Fault fault;
    int count;
    std::string url_prefix;
    std::string retry_after;
  };
  struct Held {
    absl::StatusOr<HttpResponse> answer;
    Done done;
  };

  Injected TakeFault(const std::string& url) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<HttpResponse> Answer(const HttpRequest& request, const Injected& injected);

  const Server server_;
  mutable absl::Mutex mutex_;
  std::deque<Injected> faults_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> requests_ ABSL_GUARDED_BY(mutex_);
  bool holding_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<Held> held_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_FAKE_HTTP_CLIENT_H_
