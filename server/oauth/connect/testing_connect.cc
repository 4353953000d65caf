#include "server/oauth/connect/testing_connect.h"

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "server/audit/audit_rules.h"
#include "server/oauth/connection_records.h"
#include "server/records.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

constexpr char kPublicUrl[] = "https://keyferry.example:8443";

std::string Between(const std::string& text, const std::string& before, const std::string& after) {
  const size_t begin = text.find(before);
  if (begin == std::string::npos) return "";
  const size_t from = begin + before.size();
  return text.substr(from, text.find(after, from) - from);
}

}  // namespace

TokenGrant FakeTokens::Grant(int n, const std::string& account) {
  TokenGrant grant;
  grant.access_token = storage::SecretBytes::CopyOf(absl::StrCat("access-", n));
  grant.refresh_token = storage::SecretBytes::CopyOf(absl::StrCat("refresh-", n));
  grant.lifetime = absl::Hours(1);
  grant.account = account;
  return grant;
}

void FakeTokens::Answer(const Done& done) {
  // It may replace itself.
  const std::function<void()> now = meanwhile;
  if (now) now();
  if (answers.empty()) return done(Grant(++grants_));
  const auto answer = answers.front();
  answers.pop_front();
  if (answer) done(answer());
}

void FakeTokens::ExchangeCode(std::shared_ptr<const ProviderDefinition>, CodeExchange exchange, absl::Duration,
                              Done done) {
  exchanges.push_back(std::move(exchange));
  Answer(done);
}

void FakeTokens::Refresh(std::shared_ptr<const ProviderDefinition>, RefreshInput, absl::Duration, Done done) {
  Answer(done);
}

void FakeTokens::RequestWithoutPerson(std::shared_ptr<const ProviderDefinition>, const UrlVariables& variables,
                                      const std::vector<std::string>& scopes, absl::Duration, Done done) {
  requests.emplace_back(variables, scopes);
  Answer(done);
}

void FakeTokens::Revoke(std::shared_ptr<const ProviderDefinition>, RefreshInput, absl::Duration,
                        std::function<void(absl::Status)> done) {
  done(absl::OkStatus());
}

void FakeRefresher::Refresh(const ConnectionKey& key, bool force, std::function<void(absl::Status)> done) {
  refreshed.push_back(absl::StrCat(key.parent, "|", key.provider, force ? "|force" : ""));
  done(answer);
}

std::string HeaderOf(const HttpResponse& response, const std::string& name) {
  for (const auto& [header, value] : response.headers) {
    if (absl::EqualsIgnoreCase(header, name)) return value;
  }
  return "";
}

HttpResponse TestBrowser::Send(const std::string& method, const std::string& url, const std::string& body,
                               const HttpHeaders& more) {
  ReceivedRequest received;
  received.peer = peer_;
  received.request.method = method;
  received.request.url = url;
  received.request.body = body;
  received.request.headers = more;
  if (method == "POST") received.request.headers.emplace_back("content-type", "application/x-www-form-urlencoded");
  std::string line;
  for (const auto& [name, value] : cookies) absl::StrAppend(&line, line.empty() ? "" : "; ", name, "=", value);
  if (!line.empty()) received.request.headers.emplace_back("cookie", line);
  absl::Notification answered;
  HttpResponse response;
  (*handler_)(std::move(received), [&](HttpResponse answer) {
    response = std::move(answer);
    answered.Notify();
  });
  answered.WaitForNotification();
  for (const auto& [header, value] : response.headers) {
    if (!absl::EqualsIgnoreCase(header, "set-cookie")) continue;
    const std::vector<std::string> pair = absl::StrSplit(value.substr(0, value.find(';')), absl::MaxSplits('=', 1));
    cookies[pair[0]] = pair[1];
  }
  return response;
}

ConnectWorld::ConnectWorld(TokenClient* client) {
  directory.AddUser("ada");
  directory.AddUser("bob");
  directory.AddTeam("eng");
  directory.AddMember("eng", "ada", v1::TEAM_ROLE_OWNER);
  directory.AddMember("eng", "bob", v1::TEAM_ROLE_MEMBER);
  AuditLog::Options options;
  options.background = false;
  audit = std::make_unique<AuditLog>(directory.store.get(), options);
  context.store = directory.store.get();
  context.clock = [this] { return directory.now; };
  context.pages = &directory.pages;
  context.tokens = client == nullptr ? &tokens : client;
  context.refresher = &refresher;
  context.audit = audit.get();
  context.waits = &waits;
  context.public_url = kPublicUrl;
  rules = std::make_unique<ConnectionRules>(context);
  flow = std::make_unique<ConnectFlow>(context);
  Executor::Options executor_options;
  executor_options.threads = 4;
  executor = std::make_unique<Executor>(executor_options);
  ConnectHandlerOptions handler_options;
  handler_options.public_url = kPublicUrl;
  handler_options.rate = Rate();
  handler = MakeConnectHandler(flow.get(), executor.get(), handler_options);
  PutProvider("google", [](v1::OauthProvider*) {});
  PutProvider("robot",
              [](v1::OauthProvider* provider) { provider->set_grant_type(v1::OAUTH_GRANT_TYPE_CLIENT_CREDENTIALS); });
}

void ConnectWorld::PutProvider(const std::string& id, const std::function<void(v1::OauthProvider*)>& edit,
                               int64_t endpoint_epoch) {
  v1::OauthProvider provider;
  provider.set_display_name("Display of " + id);
  provider.set_grant_type(v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE);
  provider.mutable_endpoints()->set_authorization_url("https://provider.example/authorize");
  provider.mutable_endpoints()->set_token_url("https://provider.example/token");
  provider.mutable_endpoints()->set_revocation_url("https://provider.example/revoke");
  provider.mutable_client()->set_client_id("client-1");
  provider.mutable_client()->set_client_secret("client-secret-1");
  provider.mutable_authorization()->add_scopes("openid");
  edit(&provider);
  records::OauthProviderRecord record;
  const auto old = ReadRecord<records::OauthProviderRecord>(*directory.store->View(), ProviderKey("acme", id));
  record.set_id(id);
  record.set_definition(provider.SerializeAsString());
  record.set_incarnation("0123456789abcdef");
  record.set_endpoint_epoch(endpoint_epoch);
  record.set_change_count(old.ok() && old->has_value() ? (*old)->record.change_count() + 1 : 1);
  storage::Mutation mutation;
  mutation.Put(ProviderKey("acme", id), storage::SerializeSecret(record), 1, std::nullopt);
  ASSERT_TRUE(directory.store->Commit(mutation, storage::Durability::kSynced).ok());
}

v1::StartConnectionResponse ConnectWorld::Start(const Caller& caller, const std::string& parent,
                                                const std::string& provider) {
  v1::StartConnectionRequest request;
  request.set_parent(parent);
  request.set_oauth_provider_id(provider);
  const auto started = rules->StartConnection(caller, request);
  EXPECT_TRUE(started.ok()) << started.status();
  return started.ok() ? *started : v1::StartConnectionResponse();
}

std::string ConnectWorld::PathOf(const std::string& url) {
  EXPECT_TRUE(absl::StartsWith(url, kPublicUrl)) << "not ours";
  return url.substr(std::string(kPublicUrl).size());
}

std::string ConnectWorld::SecretOf(const std::string& start_url) { return start_url.substr(start_url.find('=') + 1); }

std::string ConnectWorld::FormOf(const HttpResponse& page) {
  return absl::StrCat("t=", Between(page.body, "name=\"t\" value=\"", "\""),
                      "&f=", Between(page.body, "name=\"f\" value=\"", "\""));
}

HttpResponse ConnectWorld::Confirm(TestBrowser* browser, const std::string& start_url) {
  const HttpResponse page = browser->Get(PathOf(start_url));
  EXPECT_EQ(page.status, 200) << page.body;
  return browser->Send("POST", "/oauth/start", FormOf(page), {{"Origin", kPublicUrl}});
}

std::string ConnectWorld::ParameterOf(const HttpResponse& redirect, const std::string& name) {
  std::string value = Between(HeaderOf(redirect, "Location") + "&", absl::StrCat(name, "="), "&");
  return absl::StrReplaceAll(value, {{"%3A", ":"}, {"%2F", "/"}});
}

std::string ConnectWorld::CallbackPathOf(const HttpResponse& redirect) {
  return PathOf(ParameterOf(redirect, "redirect_uri"));
}

std::string ConnectWorld::CallbackFor(const HttpResponse& redirect, const std::string& code) {
  return absl::StrCat(CallbackPathOf(redirect), "?code=", code, "&state=", ParameterOf(redirect, "state"));
}

HttpResponse ConnectWorld::Connect(TestBrowser* browser, const Caller& caller, const std::string& parent) {
  return browser->Get(CallbackFor(Confirm(browser, Start(caller, parent).start_url())));
}

v1::ConnectionAttempt ConnectWorld::AttemptOf(const Caller& caller, const v1::StartConnectionResponse& started) {
  v1::GetConnectionAttemptRequest request;
  request.set_name(started.attempt().name());
  const auto attempt = rules->GetConnectionAttempt(caller, request);
  EXPECT_TRUE(attempt.ok()) << attempt.status();
  return attempt.ok() ? *attempt : v1::ConnectionAttempt();
}

absl::StatusOr<v1::Connection> ConnectWorld::Get(const Caller& caller, const std::string& name) {
  v1::GetConnectionRequest request;
  request.set_name(name);
  return rules->GetConnection(caller, request);
}

std::string ConnectWorld::Tokens(const std::string& parent, const std::string& provider) {
  const auto found = ReadRecord<records::ConnectionTokenRecord>(
      *directory.store->View(), ConnectionRecordKey(Table::kConnectionToken, {"acme", parent, provider}));
  if (!found.ok()) return found.status().ToString();
  if (!found->has_value()) return "(absent)";
  const auto& record = (*found)->record;
  return absl::StrCat(record.access_token(), "|", record.refresh_token(), "|", record.version());
}

int ConnectWorld::Count(Table table, const std::string& org) {
  int count = 0;
  EXPECT_TRUE(directory.store->View()
                  ->ScanAll(table, org,
                            [&](storage::Record) {
                              ++count;
                              return true;
                            })
                  .ok());
  return count;
}

std::vector<std::string> ConnectWorld::Audit() {
  AuditRules reader(directory.store.get(), &directory.pages);
  v1::ListAuditEntriesRequest request;
  request.set_parent("orgs/acme");
  request.set_page_size(1000);
  const auto listed = reader.ListAuditEntries(directory.Root(), request);
  EXPECT_TRUE(listed.ok()) << listed.status();
  std::vector<std::string> lines;
  if (!listed.ok()) return lines;
  for (const v1::AuditEntry& entry : listed->entries()) {
    lines.insert(lines.begin(), absl::StrCat(entry.method(), " ", entry.principal(), " ", entry.code(), " ",
                                             entry.reason(), " ", entry.resource()));
  }
  return lines;
}

}  // namespace keyferry::server
