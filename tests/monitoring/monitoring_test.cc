// What is deployed for monitoring fits what a running server and a running webhook tell: metrics of alerts and of the
// dashboard exist, every alert has its section in the runbook, and the files are what they should be.
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "keyferry/v1/resolution.grpc.pb.h"
#include "server/http/beast_client.h"
#include "server/http/testing_client.h"
#include "server/http/testing_tls.h"
#include "tests/harness/dev_server.h"
#include "tests/harness/exposition_reader.h"
#include "tests/monitoring/running_webhook.h"

namespace keyferry::testing {
namespace {

constexpr char kRules[] = "deploy/kubernetes/monitoring/prometheusrule.yaml";
constexpr char kServiceMonitor[] = "deploy/kubernetes/monitoring/servicemonitor.yaml";
constexpr char kWebhook[] = "deploy/kubernetes/monitoring/webhook.yaml";
constexpr char kWebhookPort[] = "deploy/kubernetes/monitoring/webhook-port.yaml";
constexpr char kDashboard[] = "deploy/kubernetes/monitoring/grafana-dashboard.json";
constexpr char kRunbook[] = "docs/runbook.md";

struct Expression {
  std::string where;
  std::string text;
};

// The names of metrics that an expression of PromQL asks for: words that are no label, which stand in braces or in
// parentheses after "by".
std::set<std::string> MetricsOf(const std::string& expression) {
  const std::string bare = std::regex_replace(
      std::regex_replace(std::regex_replace(expression, std::regex("\\{[^}]*\\}"), ""), std::regex("\"[^\"]*\""), ""),
      std::regex("\\bby *\\([^)]*\\)"), "");
  std::set<std::string> names;
  const std::regex word("\\b(keyferry|process)_[a-z0-9_]+");
  for (std::sregex_iterator it(bare.begin(), bare.end(), word), end; it != end; ++it) names.insert(it->str());
  return names;
}

// Label matchers of an expression: metric, label, the values asked for.
struct Matcher {
  std::string metric;
  std::string label;
  std::vector<std::string> values;
};
std::vector<Matcher> MatchersOf(const std::string& expression) {
  std::vector<Matcher> matchers;
  const std::regex selector("\\b((keyferry|process)_[a-z0-9_]+)\\{([^}]*)\\}");
  const std::regex pair("([a-z_]+)=~?\"([^\"]*)\"");
  for (std::sregex_iterator it(expression.begin(), expression.end(), selector), end; it != end; ++it) {
    const std::string labels = (*it)[3];
    for (std::sregex_iterator label(labels.begin(), labels.end(), pair); label != end; ++label) {
      matchers.push_back({(*it)[1], (*label)[1], absl::StrSplit(std::string((*label)[2]), '|')});
    }
  }
  return matchers;
}

std::vector<Expression> Alerts(std::vector<YAML::Node>* rules = nullptr) {
  std::vector<Expression> expressions;
  const YAML::Node document = YAML::LoadFile(kRules);
  EXPECT_EQ(document["kind"].as<std::string>(), "PrometheusRule");
  for (const auto& group : document["spec"]["groups"]) {
    for (const auto& rule : group["rules"]) {
      expressions.push_back({rule["alert"].as<std::string>(), rule["expr"].as<std::string>()});
      if (rules != nullptr) rules->push_back(rule);
    }
  }
  EXPECT_GE(expressions.size(), 12u);
  return expressions;
}

std::vector<Expression> Panels() {
  std::vector<Expression> expressions;
  const auto dashboard = nlohmann::json::parse(ReadWholeFile(kDashboard));
  std::set<int> ids;
  for (const auto& panel : dashboard.at("panels")) {
    EXPECT_TRUE(ids.insert(panel.at("id").get<int>()).second) << panel.at("title");
    for (const auto& target : panel.value("targets", nlohmann::json::array())) {
      expressions.push_back({panel.at("title").get<std::string>(), target.at("expr").get<std::string>()});
    }
  }
  EXPECT_GE(expressions.size(), 30u);
  return expressions;
}

// A real server, scraped over HTTPS after a call of Resolve and one without a token; and a real webhook.
class MonitoringTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = DevServer::Start(MakeTestDirectory("monitoring") + "/data").release();
    v1::ResolveRequest request;
    request.set_mcp_server("orgs/dev/mcpServers/none");
    v1::ResolveResponse response;
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = ReadWholeFile(server_->data_dir() + "/dev/ca.pem");
    const auto channel = grpc::CreateChannel(server_->address(), grpc::SslCredentials(tls));
    const std::string token = ReadWholeFile(server_->data_dir() + "/dev/admin.token");
    for (const bool known : {true, false}) {
      grpc::ClientContext context;
      if (known) context.AddMetadata("authorization", absl::StrCat("Bearer ", absl::StripAsciiWhitespace(token)));
      (void)v1::ResolutionService::NewStub(channel)->Resolve(&context, request, &response);
    }
    scrape_ = new Scrape(Take());
    webhook_ = RunningWebhook::Start(MakeTestDirectory("webhook")).release();
    ASSERT_NE(webhook_, nullptr);
    webhook_scrape_ = new Scrape(webhook_->Take());
  }
  static void TearDownTestSuite() {
    delete webhook_scrape_;
    delete webhook_;
    delete scrape_;
    server_->Stop();
    delete server_;
  }

  static std::string Get(const std::string& target) {
    server::BeastClient::Options options;
    options.ca_bundle.clear();
    options.ca_file = server_->data_dir() + "/dev/ca.pem";
    options.guard = *server::AddressGuard::Create({"127.0.0.0/8"});
    const auto client = *server::BeastClient::Create(std::move(options));
    const std::string address(absl::StripAsciiWhitespace(ReadWholeFile(server_->data_dir() + "/dev/metrics_address")));
    const auto answer = server::SendAndWait(*client, server::Get(absl::StrCat("https://", address, target)));
    EXPECT_TRUE(answer.ok()) << answer.status();
    return answer.ok() ? answer->body : "";
  }
  static Scrape Take() {
    const absl::StatusOr<Scrape> scrape = ReadExposition(Get("/metrics"));
    EXPECT_TRUE(scrape.ok()) << scrape.status();
    return scrape.ok() ? *scrape : Scrape();
  }

  // That of the program which has metrics of that name.
  static const Scrape& ScrapeFor(const std::string& name) {
    return absl::StartsWith(name, "keyferry_webhook_") ? *webhook_scrape_ : *scrape_;
  }

  // Whether a scrape has samples of that name; parts of a histogram count.
  static bool IsThere(const std::string& name) {
    for (const auto& [sample, value] : ScrapeFor(name).samples) {
      if (sample == name || absl::StartsWith(sample, name + "{")) return true;
    }
    return false;
  }

  static DevServer* server_;
  static Scrape* scrape_;
  static RunningWebhook* webhook_;
  static Scrape* webhook_scrape_;
};

DevServer* MonitoringTest::server_ = nullptr;
Scrape* MonitoringTest::scrape_ = nullptr;
RunningWebhook* MonitoringTest::webhook_ = nullptr;
Scrape* MonitoringTest::webhook_scrape_ = nullptr;

TEST_F(MonitoringTest, EveryMetricThatIsAskedForExists) {
  std::vector<Expression> all = Alerts();
  const std::vector<Expression> panels = Panels();
  all.insert(all.end(), panels.begin(), panels.end());
  for (const Expression& expression : all) {
    const std::set<std::string> metrics = MetricsOf(expression.text);
    EXPECT_FALSE(metrics.empty()) << expression.where;
    for (const std::string& metric : metrics) EXPECT_TRUE(IsThere(metric)) << expression.where << ": " << metric;
  }
}

TEST_F(MonitoringTest, EveryLabelThatIsAskedForHasTheValue) {
  // Codes, outcomes and decisions that did not happen have no sample; they are names of the program all the same.
  const std::set<std::string> of_prometheus = {"instance", "job"};
  const std::set<std::string> not_happened = {"code", "decision"};
  for (const Expression& expression : Alerts()) {
    for (const Matcher& matcher : MatchersOf(expression.text)) {
      if (of_prometheus.count(matcher.label) > 0) continue;
      const Scrape& scrape = ScrapeFor(matcher.metric);
      ASSERT_TRUE(scrape.labels.count(matcher.label) > 0) << expression.where << ": " << matcher.label;
      if (not_happened.count(matcher.label) > 0) continue;
      for (const std::string& value : matcher.values) {
        const std::string pair = absl::StrCat(matcher.label, "=\"", value, "\"");
        EXPECT_TRUE(std::any_of(scrape.samples.begin(), scrape.samples.end(),
                                [&](const auto& sample) {
                                  return absl::StartsWith(sample.first, matcher.metric + "{") &&
                                         absl::StrContains(sample.first, pair);
                                }))
            << expression.where << ": " << matcher.metric << " with " << pair;
      }
    }
  }
}

TEST_F(MonitoringTest, EveryMetricIsOnTheDashboard) {
  std::string shown;
  for (const Expression& panel : Panels()) {
    for (const std::string& metric : MetricsOf(panel.text)) absl::StrAppend(&shown, metric, "\n");
  }
  for (const Scrape* const scrape : {scrape_, webhook_scrape_}) {
    for (const auto& [name, type] : scrape->types) {
      if (name == "process_virtual_memory_bytes") continue;
      const std::string sample = type == "histogram" ? name + "_bucket" : name;
      EXPECT_TRUE(absl::StrContains(shown, sample + "\n")) << name;
    }
  }
}

TEST_F(MonitoringTest, EveryAlertHasASectionInTheRunbookAndNoSectionIsLeftOver) {
  std::set<std::string> sections;
  for (const absl::string_view line : absl::StrSplit(ReadWholeFile(kRunbook), '\n')) {
    if (absl::StartsWith(line, "## ")) sections.insert(std::string(line.substr(3)));
  }
  std::vector<YAML::Node> rules;
  std::set<std::string> alerts;
  for (const Expression& alert : Alerts(&rules)) EXPECT_TRUE(alerts.insert(alert.where).second) << alert.where;
  EXPECT_EQ(alerts, sections);
  for (const YAML::Node& rule : rules) {
    const std::string name = rule["alert"].as<std::string>();
    EXPECT_EQ(rule["annotations"]["runbook"].as<std::string>(),
              absl::StrCat("docs/runbook.md#", absl::AsciiStrToLower(name)));
    // Alertmanager and its receivers take it for an address, which only an installation has.
    EXPECT_FALSE(rule["annotations"]["runbook_url"].IsDefined()) << name;
    EXPECT_FALSE(rule["annotations"]["summary"].as<std::string>().empty()) << name;
    const std::string severity = rule["labels"]["severity"].as<std::string>();
    EXPECT_TRUE(severity == "critical" || severity == "warning") << name;
  }
}

TEST_F(MonitoringTest, TheRunbookSpeaksOfMetricsThatExist) {
  const std::string text = ReadWholeFile(kRunbook);
  const std::regex word("`?\\b(keyferry_[a-z_]+)");
  for (std::sregex_iterator it(text.begin(), text.end(), word), end; it != end; ++it) {
    const std::string name = (*it)[1];
    EXPECT_TRUE(IsThere(name) || ScrapeFor(name).types.count(name) > 0) << name;
  }
}

TEST_F(MonitoringTest, TheServiceMonitorScrapesHttpsWithAToken) {
  const YAML::Node document = YAML::LoadFile(kServiceMonitor);
  EXPECT_EQ(document["kind"].as<std::string>(), "ServiceMonitor");
  const YAML::Node endpoint = document["spec"]["endpoints"][0];
  EXPECT_EQ(endpoint["scheme"].as<std::string>(), "https");
  EXPECT_EQ(endpoint["path"].as<std::string>(), "/metrics");
  EXPECT_EQ(endpoint["authorization"]["type"].as<std::string>(), "Bearer");
  EXPECT_FALSE(endpoint["tlsConfig"]["insecureSkipVerify"].IsDefined());
}

TEST_F(MonitoringTest, TheWebhookIsScrapedWhereItListens) {
  std::string port;
  for (const YAML::Node& change : YAML::LoadFile(kWebhookPort)) {
    const YAML::Node value = change["value"];
    if (value.IsScalar()) {
      EXPECT_EQ(value.as<std::string>(), "--metrics-listen=0.0.0.0:9090");
    } else {
      EXPECT_EQ(value["containerPort"].as<int>(), 9090);
      port = value["name"].as<std::string>();
    }
  }
  const std::vector<YAML::Node> documents = YAML::LoadAllFromFile(kWebhook);
  ASSERT_EQ(documents.size(), 3u);
  EXPECT_EQ(documents[0]["kind"].as<std::string>(), "Service");
  EXPECT_EQ(documents[0]["spec"]["ports"][0]["targetPort"].as<std::string>(), port);
  EXPECT_EQ(documents[1]["kind"].as<std::string>(), "ServiceMonitor");
  const YAML::Node endpoint = documents[1]["spec"]["endpoints"][0];
  EXPECT_EQ(endpoint["scheme"].as<std::string>(), "http");
  EXPECT_EQ(endpoint["port"].as<std::string>(), documents[0]["spec"]["ports"][0]["name"].as<std::string>());
  // The job of the alerts.
  EXPECT_EQ(documents[1]["spec"]["jobLabel"].as<std::string>(), "app.kubernetes.io/name");
  EXPECT_EQ(documents[0]["metadata"]["labels"]["app.kubernetes.io/name"].as<std::string>(), "keyferry-webhook");
}

TEST_F(MonitoringTest, TheWebhookTellsHowReviewsEnd) {
  const Scrape before = webhook_->Take();
  const std::unique_ptr<server::RawPeer> client = webhook_->Connect();
  const auto ask = [&](const std::string& body) {
    EXPECT_TRUE(client->Write(
        absl::StrCat("POST /mutate HTTP/1.1\r\nHost: webhook\r\nContent-Length: ", body.size(), "\r\n\r\n", body)));
    return client->ReadMessage();
  };
  EXPECT_TRUE(absl::StrContains(
      ask(R"({"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE",)"
          R"("resource":{"group":"apps","version":"v1","resource":"deployments"}}})"),
      "\"allowed\":true"));
  EXPECT_TRUE(absl::StartsWith(ask("{}"), "HTTP/1.1 400 "));
  const Scrape after = webhook_->Take();
  const auto grown = [&](const std::string& sample) { return after.Value(sample) - before.Value(sample); };
  EXPECT_EQ(grown("keyferry_webhook_reviews_total{outcome=\"untouched\"}"), 1);
  EXPECT_EQ(grown("keyferry_webhook_reviews_total{outcome=\"failed\"}"), 1);
  EXPECT_EQ(grown("keyferry_webhook_review_duration_seconds_count"), 2);
  EXPECT_EQ(after.Value("keyferry_webhook_connections"), 1);
}

TEST_F(MonitoringTest, TheWebhookTellsWhenItsCertificateEnds) {
  const char* const kEnd = "keyferry_webhook_certificate_expiry_timestamp_seconds";
  const double first = webhook_->Take().Value(kEnd);
  EXPECT_NEAR(first, absl::ToDoubleSeconds(absl::Now() + absl::Hours(1) - absl::UnixEpoch()), 3000);
  webhook_->IssueFor(absl::Hours(100));
  double second = first;
  const absl::Time deadline = absl::Now() + absl::Minutes(1);
  while (second == first && absl::Now() < deadline) second = webhook_->Take().Value(kEnd);
  EXPECT_NEAR(second, absl::ToDoubleSeconds(absl::Now() + absl::Hours(100) - absl::UnixEpoch()), 3000);
}

TEST_F(MonitoringTest, ProbesAnswer) {
  EXPECT_EQ(Get("/healthz"), "ok\n");
  EXPECT_EQ(Get("/readyz"), "ready\n");
}

}  // namespace
}  // namespace keyferry::testing
