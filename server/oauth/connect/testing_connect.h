#ifndef KEYFERRY_SERVER_OAUTH_CONNECT_TESTING_CONNECT_H_
#define KEYFERRY_SERVER_OAUTH_CONNECT_TESTING_CONNECT_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "keyferry/v1/connections.pb.h"
#include "server/audit/audit_log.h"
#include "server/directory/testing_directory.h"
#include "server/http/http_handler.h"
#include "server/oauth/connect/connect_context.h"
#include "server/oauth/connect/connect_flow.h"
#include "server/oauth/connect/connect_handler.h"
#include "server/oauth/connect/connection_rules.h"
#include "server/rpc/executor.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {

// Testonly. A TokenClient that answers what the test says, at once, and remembers what it was asked.
class FakeTokens : public TokenClient {
 public:
  void ExchangeCode(std::shared_ptr<const ProviderDefinition> provider, CodeExchange exchange, absl::Duration timeout,
                    Done done) override;
  void Refresh(std::shared_ptr<const ProviderDefinition> provider, RefreshInput input, absl::Duration timeout,
               Done done) override;
  void RequestWithoutPerson(std::shared_ptr<const ProviderDefinition> provider, const UrlVariables& variables,
                            const std::vector<std::string>& scopes, absl::Duration timeout, Done done) override;
  void Revoke(std::shared_ptr<const ProviderDefinition> provider, RefreshInput tokens, absl::Duration timeout,
              std::function<void(absl::Status)> done) override;

  // A grant of "access-N" and "refresh-N", valid for an hour.
  static TokenGrant Grant(int n, const std::string& account = "ada@example.com");

  // What is answered next, a grant if there is nothing. `null`: no answer at all.
  std::deque<std::function<TokenResult()>> answers;
  // Runs before an answer is given.
  std::function<void()> meanwhile;
  std::vector<CodeExchange> exchanges;
  std::vector<std::pair<UrlVariables, std::vector<std::string>>> requests;

 private:
  void Answer(const Done& done);
  int grants_ = 0;
};

// Testonly. A refresher that answers what the test says.
class FakeRefresher : public ConnectionRefresher {
 public:
  void Refresh(const ConnectionKey& key, bool force, std::function<void(absl::Status)> done) override;
  void Changed(const ConnectionKey& key) override { changed.push_back(key.parent + "|" + key.provider); }

  absl::Status answer;
  std::vector<std::string> refreshed;
  std::vector<std::string> changed;
};

// Testonly. A browser: keeps cookies, and calls the handler.
class TestBrowser {
 public:
  TestBrowser(HttpHandler* handler, std::string peer = "203.0.113.7:50314") : handler_(handler), peer_(peer) {}

  HttpResponse Get(const std::string& url) { return Send("GET", url, ""); }
  HttpResponse Send(const std::string& method, const std::string& url, const std::string& body,
                    const HttpHeaders& more = {});

  std::map<std::string, std::string> cookies;

 private:
  HttpHandler* handler_;
  std::string peer_;
};

// Testonly. The org `acme` in a real store: root (ADMIN), ada (OWNER of eng), bob (MEMBER of eng), and the providers
// "google" (authorization code) and "robot" (client credentials).
class ConnectWorld {
 public:
  // `client`: instead of `tokens`.
  explicit ConnectWorld(TokenClient* client = nullptr);

  void PutProvider(const std::string& id, const std::function<void(v1::OauthProvider*)>& edit,
                   int64_t endpoint_epoch = 0);
  v1::StartConnectionResponse Start(const Caller& caller, const std::string& parent,
                                    const std::string& provider = "google");
  static std::string PathOf(const std::string& url);
  // The secret of a start URL.
  static std::string SecretOf(const std::string& start_url);
  // Opens the start URL and posts its form. The answer sends to the provider.
  HttpResponse Confirm(TestBrowser* browser, const std::string& start_url);
  // The form of a start page, to be posted.
  static std::string FormOf(const HttpResponse& page);
  // A parameter of the URL that a browser was sent to.
  static std::string ParameterOf(const HttpResponse& redirect, const std::string& name);
  // Path of the redirect URI that a browser was sent to the provider with.
  static std::string CallbackPathOf(const HttpResponse& redirect);
  // What the provider sends the browser back to.
  static std::string CallbackFor(const HttpResponse& redirect, const std::string& code = "CODE");
  // All of it: ends on the result page.
  HttpResponse Connect(TestBrowser* browser, const Caller& caller, const std::string& parent);

  v1::ConnectionAttempt AttemptOf(const Caller& caller, const v1::StartConnectionResponse& started);
  absl::StatusOr<v1::Connection> Get(const Caller& caller, const std::string& name);
  // "access|refresh|version", or "(absent)".
  std::string Tokens(const std::string& parent, const std::string& provider = "google");
  int Count(storage::Table table, const std::string& org = "acme");
  // Of acme's audit log, newest last: "method principal code reason resource".
  std::vector<std::string> Audit();

  TestDirectory directory;
  std::unique_ptr<AuditLog> audit;
  FakeTokens tokens;
  FakeRefresher refresher;
  NetworkWaits waits{kMaxProviderWaits, kMaxProviderWaitsPerOrg};
  ConnectContext context;
  std::unique_ptr<ConnectionRules> rules;
  std::unique_ptr<ConnectFlow> flow;
  std::unique_ptr<Executor> executor;
  HttpHandler handler;
};

std::string HeaderOf(const HttpResponse& response, const std::string& name);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CONNECT_TESTING_CONNECT_H_
