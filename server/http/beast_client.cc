#include "server/http/beast_client.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/context.hpp>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "openssl/ssl.h"
#include "server/http/exchange.h"
#include "server/http/header_rules.h"
#include "server/http/tls.h"
#include "server/http/url.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace asio = boost::asio;

constexpr size_t kMaxRequestBody = 1 << 20;

absl::Status CheckRequest(const HttpRequest& request) {
  if (!IsMethod(request.method)) return absl::InvalidArgumentError("the method is none that can be sent");
  if (request.body.size() > kMaxRequestBody) return absl::InvalidArgumentError("the body is larger than 1 MiB");
  return CheckHeaders(request.headers);
}

}  // namespace

// Everything but the fields that are set once belongs to the one thread that runs `io_`.
class BeastClient::Core {
 public:
  Core(bssl::UniquePtr<SSL_CTX> tls, Options options)
      : options_(std::move(options)),
        tls_(tls.release()),
        shared_{io_, tls_, *options_.resolver, options_.guard, options_.max_body, options_.user_agent},
        slots_(options_.limits),
        work_(asio::make_work_guard(io_)),
        thread_([this] { io_.run(); }) {}

  // Once; before the end.
  void Stop() {
    absl::Notification stopped;
    asio::post(io_, [this, &stopped] {
      EndAll();
      stopped.Notify();
    });
    stopped.WaitForNotification();
    // Nothing asks the resolver from here on, and what it has still to say is said while the thread runs.
    options_.resolver.reset();
    work_.reset();
    thread_.join();
  }

  void CancelAll() {
    asio::post(io_, [this] { EndAll(); });
  }

  void Send(HttpRequest request, HttpsUrl url, absl::Duration timeout, Done done) {
    auto exchange = std::make_shared<Exchange>(shared_, std::move(request), std::move(url), std::move(done));
    asio::post(io_, [this, timeout, exchange = std::move(exchange)] { Admit(exchange, timeout); });
  }

 private:
  // Nothing is admitted afterwards.
  void EndAll() {
    stopping_ = true;
    const auto exchanges = std::exchange(exchanges_, {});
    for (const auto& exchange : exchanges) exchange->End(absl::CancelledError("the server is stopping"));
  }

  void Admit(const std::shared_ptr<Exchange>& exchange, absl::Duration timeout) {
    if (stopping_) return exchange->End(absl::CancelledError("the server is stopping"));
    exchanges_.insert(exchange);
    exchange->SetTimeout(timeout, [this, id = exchange.get()] { Leave(id); });
    // Posted, since an exchange that ends at once would make the next one start on top of it.
    const bool fits = slots_.Enter(exchange.get(), exchange->host(),
                                   [this, exchange] { asio::post(io_, [exchange] { exchange->Start(); }); });
    if (!fits) {
      exchange->End(absl::ResourceExhaustedError(
          absl::StrCat(exchange->host(), ": too many requests are under way; try again later")));
    }
  }

  void Leave(Exchange* exchange) {
    exchanges_.erase(exchange->shared_from_this());
    if (!stopping_) slots_.Leave(exchange);
  }

  Options options_;
  asio::io_context io_{1};
  asio::ssl::context tls_;
  const Exchange::Shared shared_;
  RequestSlots slots_;
  std::set<std::shared_ptr<Exchange>> exchanges_;
  bool stopping_ = false;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::thread thread_;
};

absl::StatusOr<std::unique_ptr<BeastClient>> BeastClient::Create(Options options) {
  ASSIGN_OR_RETURN(bssl::UniquePtr<SSL_CTX> tls, MakeClientTls(options.ca_bundle, options.ca_file));
  if (options.resolver == nullptr) {
    ASSIGN_OR_RETURN(options.resolver, MakeSystemResolver());
  }
  return std::unique_ptr<BeastClient>(new BeastClient(std::make_unique<Core>(std::move(tls), std::move(options))));
}

BeastClient::BeastClient(std::unique_ptr<Core> core) : core_(std::move(core)) {}

// A request that ends may send another one meanwhile.
BeastClient::~BeastClient() { core_->Stop(); }

void BeastClient::CancelAll() { core_->CancelAll(); }

void BeastClient::Send(HttpRequest request, absl::Duration timeout, Done done) {
  absl::StatusOr<HttpsUrl> url = ParseHttpsUrl(request.url);
  if (!url.ok()) return done(url.status());
  const absl::Status checked = CheckRequest(request);
  if (!checked.ok()) return done(checked);
  core_->Send(std::move(request), *std::move(url), timeout, std::move(done));
}

}  // namespace keyferry::server
