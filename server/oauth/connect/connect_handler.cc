#include "server/oauth/connect/connect_handler.h"

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/names.h"
#include "server/oauth/callback_address.h"
#include "server/oauth/connect/pages.h"
#include "storage/crypto/sha256.h"

namespace keyferry::server {
namespace {

constexpr char kFormCookie[] = "__Host-keyferry-start";
constexpr size_t kMaxFormBytes = 4096;
constexpr size_t kMaxTrackedAddresses = 65536;

using Respond = std::function<void(HttpResponse)>;

absl::string_view HeaderOf(const HttpRequest& request, absl::string_view name) {
  for (const auto& [header, value] : request.headers) {
    if (absl::EqualsIgnoreCase(header, name)) return value;
  }
  return "";
}

// The one value of a field, "" if it is missing or there twice. Ours need no escapes: what has some is none of ours.
absl::string_view FieldOf(absl::string_view form, absl::string_view name) {
  absl::string_view found;
  for (const absl::string_view pair : absl::StrSplit(form, '&')) {
    const size_t equals = pair.find('=');
    if (equals == absl::string_view::npos || pair.substr(0, equals) != name) continue;
    if (!found.empty()) return "";
    found = pair.substr(equals + 1);
  }
  return found;
}

// As browsers write it in `Origin` (RFC 6454, section 6.2).
std::string OriginOf(absl::string_view url) {
  std::string origin = absl::AsciiStrToLower(absl::StripSuffix(url, "/"));
  return std::string(absl::StripSuffix(origin, ":443"));
}

// Ties a form to the start link and to the browser that was shown it.
std::string FormToken(absl::string_view cookie, absl::string_view start_secret) {
  return absl::WebSafeBase64Escape(
      storage::View(storage::Sha256({"keyferry connect form\n", cookie, "\n", start_secret})));
}

std::string SetCookie(absl::string_view name, absl::string_view value, absl::string_view same_site) {
  return absl::StrCat(name, "=", value, "; Path=/; Max-Age=", absl::ToInt64Seconds(kAttemptLifetime),
                      "; Secure; HttpOnly; SameSite=", same_site);
}

int HttpStatusOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kInvalidArgument:
      return 400;
    default:
      return 503;
  }
}

HttpResponse Refusal(const absl::Status& status) {
  return PageResponse(HttpStatusOf(status), Page("Not connected").Text(status.message()));
}

HttpResponse NotAllowed(absl::string_view methods) {
  HttpResponse response = PageResponse(405, Page("Not connected").Text("This page cannot be used like that."));
  response.headers.emplace_back("Allow", std::string(methods));
  return response;
}

HttpResponse TooMany(int seconds) {
  HttpResponse response =
      PageResponse(429, Page("Not connected").Text("Too many requests. Wait a moment, then reload this page."));
  response.headers.emplace_back("Retry-After", absl::StrCat(seconds));
  return response;
}

// What the connection lets whom do, in words.
std::string ScopeInWords(const ParentName& scope) {
  switch (scope.kind) {
    case ParentName::kTeam:
      return absl::StrCat("the team ", scope.id, ": its members' tools act with your account");
    case ParentName::kUser:
      return absl::StrCat("the user ", scope.id, " alone");
    default:
      return absl::StrCat("the whole organization ", scope.org, ": its members' tools act with your account");
  }
}

class ConnectHandler {
 public:
  ConnectHandler(ConnectFlow* flow, ConnectHandlerOptions options)
      : flow_(flow),
        origin_(OriginOf(options.public_url)),
        ending_(std::move(options.ending)),
        clock_(std::move(options.clock)),
        limiter_(options.rate, kMaxTrackedAddresses) {}

  // Zero, or how long the address has to wait.
  absl::Duration Admit(const std::string& network) {
    return limiter_.Take(absl::Hash<std::string>()(network), clock_());
  }

  HttpResponse Answer(const ReceivedRequest& received) {
    if (ending_ != nullptr && ending_()) {
      return Refusal(absl::UnavailableError("Keyferry is stopping. Reload this page in a moment."));
    }
    const absl::string_view url = received.request.url;
    const size_t mark = url.find('?');
    const absl::string_view path = url.substr(0, mark);
    const absl::string_view query = mark == absl::string_view::npos ? "" : url.substr(mark + 1);
    const bool gets = received.request.method == "GET" || received.request.method == "HEAD";
    if (path == "/oauth/start") {
      if (gets) return Start(received, query);
      return received.request.method == "POST" ? Confirm(received) : NotAllowed("GET, HEAD, POST");
    }
    if (absl::string_view id = path; absl::ConsumePrefix(&id, kCallbackPath) && IsCallbackId(id)) {
      // Not HEAD: it would take the code of who follows.
      return received.request.method == "GET" ? Callback(received, id, query) : NotAllowed("GET");
    }
    if (path == "/oauth/connect") return gets ? HowToConnect(query) : NotAllowed("GET, HEAD");
    return PageResponse(404, Page("No such page").Text("There is nothing here."));
  }

 private:
  HttpResponse Start(const ReceivedRequest& received, absl::string_view query) const {
    const absl::string_view secret = FieldOf(query, "t");
    const absl::StatusOr<ConnectFlow::Preview> preview = flow_->Look(secret);
    if (!preview.ok()) return Refusal(preview.status());
    // One for all tabs of the browser.
    std::string cookie = received.Cookie(kFormCookie);
    if (!IsUrlSecret(cookie)) cookie = std::string(NewUrlSecret().Expose());
    const std::string provider = preview->provider_display_name.empty()
                                     ? preview->provider
                                     : absl::StrCat(preview->provider_display_name, " (", preview->provider, ")");
    const std::string starter = preview->starter_display_name.empty()
                                    ? preview->starter
                                    : absl::StrCat(preview->starter, " (", preview->starter_display_name, ")");
    Page page("Connect an account to Keyferry?");
    page.Facts({{"Provider", provider},
                {"Started by", starter},
                {"For", ScopeInWords(preview->scope)},
                {"Connection", preview->connection}});
    page.Text("Compare this code with the one that was shown where the connection was started:");
    page.Code(preview->confirmation_code);
    page.Warning(
        "Go on only if you started this connection, or know who did and want them to use your account at the "
        "provider. If somebody sent you this link out of the blue, or the codes differ, close this page.");
    page.Form("/oauth/start", {{"t", std::string(secret)}, {"f", FormToken(cookie, secret)}}, "Go on to the provider");
    HttpResponse response = PageResponse(200, page);
    response.headers.emplace_back("Set-Cookie", SetCookie(kFormCookie, cookie, "Strict"));
    return response;
  }

  // Whether the form was sent by the page that this browser was shown. Browsers say `Origin: null` where the page sends
  // no referrer, so the cookie decides; other headers can only refuse.
  bool IsOwnForm(const ReceivedRequest& received, absl::string_view secret, absl::string_view token) const {
    const absl::string_view origin = HeaderOf(received.request, "Origin");
    if (!origin.empty() && origin != "null" && OriginOf(origin) != origin_) return false;
    const absl::string_view site = HeaderOf(received.request, "Sec-Fetch-Site");
    if (!site.empty() && site != "same-origin") return false;
    const std::string cookie = received.Cookie(kFormCookie);
    return IsUrlSecret(cookie) && storage::ConstantTimeEquals(FormToken(cookie, secret), token);
  }

  HttpResponse Confirm(const ReceivedRequest& received) const {
    const absl::string_view type = HeaderOf(received.request, "Content-Type");
    if (received.request.body.size() > kMaxFormBytes ||
        !absl::StartsWithIgnoreCase(type, "application/x-www-form-urlencoded")) {
      return Refusal(absl::InvalidArgumentError("This is not the form of this page."));
    }
    const absl::string_view secret = FieldOf(received.request.body, "t");
    if (!IsOwnForm(received, secret, FieldOf(received.request.body, "f"))) {
      return Refusal(absl::PermissionDeniedError(
          "This form was not sent from this page, or the browser refuses cookies. Open the link again, and allow "
          "cookies for this site."));
    }
    absl::StatusOr<ConnectFlow::Confirmed> confirmed = flow_->Confirm(secret, received.peer);
    if (!confirmed.ok()) return Refusal(confirmed.status());
    HttpResponse response = SeeOther(std::move(confirmed->authorization_url));
    // Lax: the provider's redirect has to bring it along.
    response.headers.emplace_back("Set-Cookie", SetCookie(ConnectFlow::BrowserCookie(confirmed->attempt_id),
                                                          confirmed->browser_secret.Expose(), "Lax"));
    return response;
  }

  HttpResponse Callback(const ReceivedRequest& received, absl::string_view id, absl::string_view query) const {
    ConnectFlow::Arrival arrival;
    arrival.callback_id = id;
    arrival.query = query;
    arrival.cookie = [&received](absl::string_view name) { return received.Cookie(name); };
    arrival.peer = received.peer;
    const absl::StatusOr<ConnectFlow::Completed> completed = flow_->Complete(arrival);
    if (!completed.ok()) return Refusal(completed.status());
    std::vector<std::pair<std::string, std::string>> facts = {{"Provider", completed->provider_display_name},
                                                              {"Connection", completed->connection}};
    if (!completed->account.empty()) facts.insert(facts.begin() + 1, {"Account", completed->account});
    return PageResponse(200, Page("Connected")
                                 .Facts(facts)
                                 .Text("Keyferry keeps the access fresh from now on. You can close this window and go "
                                       "back to where you started."));
  }

  HttpResponse HowToConnect(absl::string_view query) const {
    // What is no id is not shown, and of what is one nothing is said but its name.
    const absl::string_view org = FieldOf(query, "org");
    const absl::string_view provider = FieldOf(query, "provider");
    if (!CheckId(org, "org").ok() || !CheckId(provider, "provider").ok()) {
      return PageResponse(400, Page("How to connect").Text("This link is not whole. Copy all of it."));
    }
    return PageResponse(200, Page("How to connect")
                                 .Text(absl::StrCat("A tool needs a connection to the OAuth provider ", provider,
                                                    " in the organization ", org,
                                                    ". Run this command where you are logged "
                                                    "in to Keyferry, and follow the link that it prints:"))
                                 .Code(absl::StrCat("keyferry connect ", provider))
                                 .Text("For a connection of a team or of the whole organization, ask who manages its "
                                       "credentials."));
  }

  ConnectFlow* const flow_;
  const std::string origin_;
  const std::function<bool()> ending_;
  const MonotonicClock clock_;
  RateLimiter limiter_;
};

}  // namespace

HttpHandler MakeConnectHandler(ConnectFlow* flow, Executor* executor, ConnectHandlerOptions options) {
  auto handler = std::make_shared<ConnectHandler>(flow, std::move(options));
  return [handler, executor](ReceivedRequest request, Respond respond) {
    const std::string network =
        PeerNetwork(absl::StrCat(absl::StartsWith(request.peer, "[") ? "ipv6:" : "ipv4:", request.peer));
    const absl::Duration wait = handler->Admit(network);
    if (wait > absl::ZeroDuration()) return respond(TooMany(static_cast<int>(absl::ToInt64Seconds(wait)) + 1));
    // A function that can be copied cannot own the request.
    const auto shared = std::make_shared<ReceivedRequest>(std::move(request));
    const bool accepted = executor->TryRun(network, [handler, shared, respond] { respond(handler->Answer(*shared)); });
    if (!accepted) respond(Refusal(absl::ResourceExhaustedError("Keyferry is busy. Reload this page in a moment.")));
  };
}

}  // namespace keyferry::server
