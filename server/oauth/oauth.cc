#include "server/oauth/oauth.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "server/delayed_action.h"
#include "server/http/address_guard.h"
#include "server/http/beast_client.h"
#include "server/http/router.h"
#include "server/oauth/callback_address.h"
#include "server/oauth/connect/connect_flow.h"
#include "server/oauth/connect/connect_handler.h"
#include "server/oauth/connect/waits.h"
#include "server/oauth/protocol/make_token_client.h"
#include "server/oauth/providers/provider_deletion.h"
#include "server/oauth/refresh/oauth_sweeper.h"
#include "server/oauth/refresh/refresh_scheduler.h"
#include "server/rpc/executor.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

// Work of browsers: it waits for commits and providers.
constexpr size_t kBrowserThreads = 32;
constexpr size_t kMaxQueuedRequests = 256;
// For the answer of an exchange to be stored.
constexpr absl::Duration kStoreReserve = absl::Seconds(2);
// For browsers to be sent the answer that their waits have ended with.
constexpr absl::Duration kAnswerReserve = absl::Seconds(1);

absl::StatusOr<std::unique_ptr<BeastClient>> MakeHttpClient(const OauthOptions& options) {
  BeastClient::Options client;
  // Small images have none; providers are then known by `ca_file` alone.
  if (access(client.ca_bundle.c_str(), R_OK) != 0) client.ca_bundle.clear();
  client.ca_file = options.ca_file;
  ASSIGN_OR_RETURN(client.guard, AddressGuard::Create(options.allowed_addresses));
  return BeastClient::Create(std::move(client));
}

// The listener is there before what answers, since only it knows where it listens.
class Front {
 public:
  void Open(HttpHandler handler) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    handler_ = std::move(handler);
  }

  void Handle(ReceivedRequest request, std::function<void(HttpResponse)> respond) ABSL_LOCKS_EXCLUDED(mutex_) {
    HttpHandler handler;
    {
      absl::MutexLock lock(&mutex_);
      handler = handler_;
    }
    if (handler != nullptr) return handler(std::move(request), std::move(respond));
    HttpResponse starting;
    starting.status = 503;
    respond(std::move(starting));
  }

 private:
  absl::Mutex mutex_;
  HttpHandler handler_ ABSL_GUARDED_BY(mutex_);
};

HttpHandler MakeRoutes(const HttpHandler& connect) {
  const auto router = std::make_shared<Router>();
  router->Exact("GET", "/oauth/start", connect);
  router->Exact("POST", "/oauth/start", connect);
  router->Prefix("GET", std::string(kCallbackPath), connect);
  router->Exact("GET", "/oauth/connect", connect);
  return [router](ReceivedRequest request, std::function<void(HttpResponse)> respond) {
    router->Handle(std::move(request), std::move(respond));
  };
}

}  // namespace

// In the order in which they depend on one another; destroyed from the last to the first.
struct Oauth::Parts {
  OauthOptions options;
  std::string public_url;
  // When it was first told to begin nothing more, and whether nobody is to wait any longer.
  absl::Time stopped_beginning = absl::InfiniteFuture();
  std::atomic<bool> ending{false};
  // For what somebody waits for, and for what goes on without them. Two, since only the first may be cut short.
  absl::Time not_after = absl::InfiniteFuture();
  std::unique_ptr<BeastClient> http;
  std::unique_ptr<TokenClient> tokens;
  std::unique_ptr<BeastClient> refresh_http;
  std::unique_ptr<TokenClient> refresh_tokens;
  std::unique_ptr<RefreshScheduler> scheduler;
  std::unique_ptr<OauthSweeper> sweeper;
  std::unique_ptr<OauthProviderRules> providers;
  NetworkWaits waits{kMaxProviderWaits, kMaxProviderWaitsPerOrg};
  std::unique_ptr<ConnectionRules> connections;
  std::unique_ptr<ConnectFlow> flow;
  std::unique_ptr<Executor> executor;
  std::unique_ptr<HttpsListener> listener;

  absl::Status Listen(const std::shared_ptr<Front>& front) {
    if (options.listener.address.empty()) return absl::OkStatus();
    ASSIGN_OR_RETURN(const LoadedCertificate loaded,
                     LoadCertificate({options.cert_file, options.key_file, /*client_ca_file=*/""}));
    not_after = loaded.not_after;
    const auto handler = [front](ReceivedRequest request, std::function<void(HttpResponse)> respond) {
      front->Handle(std::move(request), std::move(respond));
    };
    ASSIGN_OR_RETURN(listener, HttpsListener::Start(options.listener, loaded.certificate, loaded.key, handler));
    public_url = listener->public_url();
    return absl::OkStatus();
  }

  absl::Status Build(const Surroundings& around) {
    RETURN_IF_ERROR(FinishDeletions(around.store, around.clock()));
    ASSIGN_OR_RETURN(http, MakeHttpClient(options));
    tokens = MakeTokenClient(http.get(), around.clock);
    ASSIGN_OR_RETURN(refresh_http, MakeHttpClient(options));
    refresh_tokens = MakeTokenClient(refresh_http.get(), around.clock);
    RefreshScheduler::Clocks clocks;
    clocks.wall = around.clock;
    ASSIGN_OR_RETURN(scheduler, RefreshScheduler::Start(around.store, refresh_tokens.get(), std::move(clocks),
                                                        around.logger, RefreshOptions()));
    sweeper = std::make_unique<OauthSweeper>(around.store, refresh_tokens.get(), around.clock,
                                             /*monotonic_clock=*/nullptr, around.logger, OauthSweeper::Options());
    OauthProviderRules::Options provider_options;
    provider_options.public_url = public_url;
    providers = std::make_unique<OauthProviderRules>(
        around.store, around.clock, around.pages, http.get(), tokens.get(), around.processes,
        [s = scheduler.get()](const ConnectionKey& key) { s->Changed(key); }, std::move(provider_options));
    ConnectContext context;
    context.store = around.store;
    context.clock = around.clock;
    context.pages = around.pages;
    context.tokens = tokens.get();
    context.refresher = scheduler.get();
    context.audit = around.audit;
    context.usage = around.usage;
    context.waits = &waits;
    context.public_url = public_url;
    connections = std::make_unique<ConnectionRules>(context);
    flow = std::make_unique<ConnectFlow>(std::move(context));
    return absl::OkStatus();
  }

  HttpHandler MakeHandler() {
    Executor::Options browser_options;
    browser_options.threads = kBrowserThreads;
    browser_options.max_queued = kMaxQueuedRequests;
    executor = std::make_unique<Executor>(browser_options);
    ConnectHandlerOptions handler_options;
    handler_options.public_url = public_url;
    handler_options.ending = [this] { return ending.load(); };
    return MakeRoutes(MakeConnectHandler(flow.get(), executor.get(), std::move(handler_options)));
  }
};

Oauth::Oauth(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Oauth::~Oauth() {
  Drain(absl::ZeroDuration());
  // No request comes any more; what runs for one still uses the rest.
  parts_->listener.reset();
  parts_->executor.reset();
}

absl::StatusOr<std::unique_ptr<Oauth>> Oauth::Start(const OauthOptions& options, const Surroundings& surroundings) {
  auto parts = std::make_unique<Parts>();
  parts->options = options;
  const auto front = std::make_shared<Front>();
  RETURN_IF_ERROR(parts->Listen(front));
  RETURN_IF_ERROR(parts->Build(surroundings));
  if (parts->listener != nullptr) front->Open(parts->MakeHandler());
  return std::unique_ptr<Oauth>(new Oauth(std::move(parts)));
}

OauthProviderRules* Oauth::providers() const { return parts_->providers.get(); }

ConnectionRules* Oauth::connections() const { return parts_->connections.get(); }

ConnectionRefresher* Oauth::refresher() const { return parts_->scheduler.get(); }

RefreshStatus Oauth::refresh_status() const { return parts_->scheduler->status(); }

const std::string& Oauth::public_url() const { return parts_->public_url; }

std::string Oauth::listen_address() const {
  if (parts_->listener == nullptr) return "";
  const std::string& asked = parts_->options.listener.address;
  return absl::StrCat(asked.substr(0, asked.rfind(':')), ":", parts_->listener->port());
}

absl::Status Oauth::SetCertificate(const LoadedCertificate& certificate) {
  if (parts_->listener == nullptr) return absl::OkStatus();
  return parts_->listener->SetCertificate(certificate.certificate, certificate.key);
}

void Oauth::StopBeginning() {
  parts_->stopped_beginning = std::min(parts_->stopped_beginning, absl::Now());
  parts_->scheduler->StopBeginning();
}

void Oauth::EndWaits() {
  // First, so that what leaves the queue from now on asks nothing of a provider.
  parts_->ending = true;
  parts_->http->CancelAll();
  parts_->scheduler->LetAskersGo();
}

absl::Time Oauth::first_not_after() const { return parts_->not_after; }

void Oauth::Drain(absl::Duration grace) {
  StopBeginning();
  if (parts_->listener != nullptr) {
    const DelayedAction end_of_grace(grace, [this] { EndWaits(); });
    parts_->listener->Drain(grace + kAnswerReserve);
  }
  EndWaits();
  const absl::Duration longest = RefreshOptions().exchange_timeout + kStoreReserve;
  const absl::Duration left = parts_->stopped_beginning + longest - absl::Now();
  // The clock may have been set meanwhile.
  parts_->scheduler->Drain(std::clamp(left, absl::ZeroDuration(), longest));
}

}  // namespace keyferry::server
