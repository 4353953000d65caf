#include "server/metrics/metrics_listener.h"

#include <sys/stat.h>

#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/mutex.h"
#include "server/files.h"
#include "server/http/answer.h"
#include "server/http/https_listener.h"
#include "server/http/router.h"
#include "server/status_macros.h"
#include "storage/crypto/sha256.h"

namespace keyferry::server {
namespace {

constexpr size_t kMinTokenBytes = 16;

// The digest of the file's token. Tokens are compared by their digests, so that the time tells nothing of them, their
// length included.
absl::StatusOr<storage::Sha256Digest> ReadToken(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) == 0 && (info.st_mode & S_IROTH) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": can be read by everybody; run `chmod o-r ", path, "`"));
  }
  ASSIGN_OR_RETURN(const storage::SecretBytes content, ReadSmallFile(path));
  const absl::string_view token = absl::StripAsciiWhitespace(content.Expose());
  if (token.size() < kMinTokenBytes) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": the token is shorter than ", kMinTokenBytes,
                                                   " bytes; write a random one, e.g. `openssl rand -hex 32`"));
  }
  return storage::Sha256({token});
}

// The token that the request shows, "" if none. Of two Authorization headers none counts.
absl::string_view BearerOf(const HttpRequest& request) {
  absl::string_view found;
  int count = 0;
  for (const auto& [name, value] : request.headers) {
    if (!absl::EqualsIgnoreCase(name, "authorization")) continue;
    ++count;
    found = value;
  }
  constexpr absl::string_view kScheme = "bearer ";
  if (count != 1 || !absl::StartsWithIgnoreCase(found, kScheme)) return "";
  return absl::StripAsciiWhitespace(found.substr(kScheme.size()));
}

}  // namespace

class MetricsListener::Core {
 public:
  explicit Core(const Options& options) : options_(options), token_file_(options.token_file) {}

  absl::Status Start() {
    if (!options_.token_file.empty()) RETURN_IF_ERROR(ReloadToken());
    ASSIGN_OR_RETURN(const LoadedCertificate loaded, LoadCertificate(options_.files));
    not_after_ = loaded.not_after;
    router_.Exact("GET", "/metrics", [this](ReceivedRequest request, auto respond) { respond(Metrics(request)); });
    router_.Exact("GET", "/healthz", [](ReceivedRequest, auto respond) { respond(PlainAnswer(200, "ok")); });
    router_.Exact("GET", "/readyz", [this](ReceivedRequest, auto respond) { respond(Readiness()); });
    HttpsListener::Options listen;
    listen.address = options_.listen;
    listen.any_host = true;
    ASSIGN_OR_RETURN(listener_, HttpsListener::Start(listen, loaded.certificate, loaded.key,
                                                     [this](ReceivedRequest request, auto respond) {
                                                       router_.Handle(std::move(request), std::move(respond));
                                                     }));
    return absl::OkStatus();
  }

  void Set(Source source, absl::string_view unready) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    source_ = std::move(source);
    unready_ = std::string(unready);
  }

  absl::Status ReloadToken() ABSL_LOCKS_EXCLUDED(token_mutex_) {
    ASSIGN_OR_RETURN(const storage::Sha256Digest token, ReadToken(TokenFile()));
    absl::MutexLock lock(&token_mutex_);
    token_ = token;
    return absl::OkStatus();
  }

  void SetTokenFile(const std::string& token_file) ABSL_LOCKS_EXCLUDED(token_mutex_) {
    absl::MutexLock lock(&token_mutex_);
    token_file_ = token_file;
  }

  std::string address() const {
    return absl::StrCat(options_.listen.substr(0, options_.listen.rfind(':')), ":", listener_->port());
  }
  absl::Time not_after() const { return not_after_; }
  HttpsListener& listener() { return *listener_; }

 private:
  std::string TokenFile() ABSL_LOCKS_EXCLUDED(token_mutex_) {
    absl::MutexLock lock(&token_mutex_);
    return token_file_;
  }

  bool MayRead(const ReceivedRequest& request) ABSL_LOCKS_EXCLUDED(token_mutex_) {
    if (options_.token_file.empty()) return true;
    const storage::Sha256Digest shown = storage::Sha256({BearerOf(request.request)});
    absl::MutexLock lock(&token_mutex_);
    return storage::ConstantTimeEquals(storage::View(shown), storage::View(token_));
  }

  HttpResponse Metrics(const ReceivedRequest& request) ABSL_LOCKS_EXCLUDED(mutex_, token_mutex_) {
    if (!MayRead(request)) {
      HttpResponse refused = PlainAnswer(401, "the token of metrics.token_file is needed");
      refused.headers.emplace_back("WWW-Authenticate", "Bearer");
      return refused;
    }
    absl::MutexLock lock(&mutex_);
    metrics::Exposition out;
    out.Gauge("keyferry_ready", "1 while calls are served.", CheckReady().ok() ? 1 : 0);
    if (source_.write != nullptr) source_.write(&out);
    HttpResponse answer;
    answer.status = 200;
    answer.headers = {{"Content-Type", metrics::Exposition::kContentType}};
    answer.body = out.Take();
    return answer;
  }

  HttpResponse Readiness() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    const absl::Status ready = CheckReady();
    return ready.ok() ? PlainAnswer(200, "ready") : PlainAnswer(503, ready.message());
  }

  absl::Status CheckReady() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return source_.ready == nullptr ? absl::UnavailableError(unready_) : source_.ready();
  }

  const Options options_;
  Router router_;
  absl::Time not_after_;
  absl::Mutex mutex_;
  Source source_ ABSL_GUARDED_BY(mutex_);
  std::string unready_ ABSL_GUARDED_BY(mutex_) = "the server is starting";
  // Never held while anything else is called: whoever reloads the token may hold locks that the source takes.
  absl::Mutex token_mutex_;
  std::string token_file_ ABSL_GUARDED_BY(token_mutex_);
  storage::Sha256Digest token_ ABSL_GUARDED_BY(token_mutex_) = {};
  // Last, so that no handler runs when the rest goes.
  std::unique_ptr<HttpsListener> listener_;
};

MetricsListener::MetricsListener(std::unique_ptr<Core> core) : core_(std::move(core)) {}

MetricsListener::~MetricsListener() = default;

absl::StatusOr<std::unique_ptr<MetricsListener>> MetricsListener::Start(const Options& options) {
  auto core = std::make_unique<Core>(options);
  const absl::Status started = core->Start();
  if (!started.ok()) return absl::Status(started.code(), absl::StrCat("metrics: ", started.message()));
  return std::unique_ptr<MetricsListener>(new MetricsListener(std::move(core)));
}

void MetricsListener::Attach(Source source) { core_->Set(std::move(source), ""); }

void MetricsListener::Detach() { core_->Set(Source(), "the server is stopping"); }

std::string MetricsListener::address() const { return core_->address(); }

absl::Time MetricsListener::first_not_after() const { return core_->not_after(); }

absl::Status MetricsListener::SetCertificate(const LoadedCertificate& certificate) {
  return core_->listener().SetCertificate(certificate.certificate, certificate.key);
}

absl::Status MetricsListener::ReloadToken() { return core_->ReloadToken(); }

void MetricsListener::SetTokenFile(const std::string& token_file) { core_->SetTokenFile(token_file); }

}  // namespace keyferry::server
