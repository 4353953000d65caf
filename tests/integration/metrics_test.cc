// What a running server tells of itself to monitoring, over all that callers do.
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "metrics/exposition.h"
#include "tests/harness/exposition_reader.h"
#include "tests/integration/access_matrix.h"
#include "tests/integration/world.h"

namespace keyferry::testing {
namespace {

class MetricsTest : public ::testing::Test {
 protected:
  std::string Text() {
    metrics::Exposition out;
    world_.server()->WriteMetrics(&out);
    return out.Take();
  }
  Scrape Take() {
    const absl::StatusOr<Scrape> scrape = ReadExposition(Text());
    EXPECT_TRUE(scrape.ok()) << scrape.status();
    return scrape.ok() ? *scrape : Scrape();
  }
  static std::string Requests(const std::string& method, const std::string& code) {
    return absl::StrCat("keyferry_grpc_requests_total{method=\"", method, "\",code=\"", code, "\"}");
  }
  static std::string Decisions(const std::string& method, const std::string& decision) {
    return absl::StrCat("keyferry_access_decisions_total{method=\"", method, "\",decision=\"", decision, "\"}");
  }

  World world_;
};

constexpr char kGet[] = "CredentialService/GetCredential";

TEST_F(MetricsTest, CountsWhatCallersDo) {
  const Scrape before = Take();
  const std::string github = "name: 'orgs/acme/credentials/GITHUB_TOKEN'";
  EXPECT_TRUE(world_.Call(Who::kMember, "CredentialService.GetCredential", github).ok());
  EXPECT_TRUE(world_.Call(Who::kMember, "CredentialService.GetCredential", github).ok());
  EXPECT_FALSE(world_.Call(Who::kRival, "CredentialService.GetCredential", github).ok());
  EXPECT_FALSE(world_.Call(Who::kNobody, "CredentialService.GetCredential", github).ok());
  EXPECT_FALSE(world_.Call(Who::kMember, "CredentialService.GetCredential", "name: 'nonsense'").ok());
  EXPECT_FALSE(world_.Call(Who::kMember, "CredentialService.DeleteCredential", github).ok());
  world_.MustCall(Who::kAdmin, "CredentialService.CreateCredential",
                  "parent: 'orgs/acme' credential_id: 'FRESH' value: 'fresh-value'");
  const Scrape after = Take();
  const auto moved = [&](const std::string& sample) { return after.Value(sample) - before.Value(sample); };
  EXPECT_EQ(moved(Requests(kGet, "OK")), 2);
  EXPECT_EQ(moved(Requests(kGet, "NOT_FOUND")), 1);
  EXPECT_EQ(moved(Requests(kGet, "UNAUTHENTICATED")), 1);
  EXPECT_EQ(moved(Requests(kGet, "INVALID_ARGUMENT")), 1);
  EXPECT_EQ(moved(Requests("CredentialService/DeleteCredential", "PERMISSION_DENIED")), 1);
  EXPECT_EQ(moved(Decisions(kGet, "allowed")), 2);
  EXPECT_EQ(moved(Decisions(kGet, "denied")), 1) << "what is hidden is denied, though it reads as absent";
  EXPECT_EQ(moved(Decisions(kGet, "unauthenticated")), 1);
  EXPECT_EQ(moved(Decisions("CredentialService/DeleteCredential", "denied")), 1);
  EXPECT_EQ(moved(absl::StrCat("keyferry_grpc_request_duration_seconds_count{method=\"", kGet, "\"}")), 5);
  EXPECT_GE(moved("keyferry_audit_entries_total"), 7);
  EXPECT_GE(moved("keyferry_store_commits_total{outcome=\"committed\"}"), 7);
  EXPECT_GE(moved("keyferry_store_seals_total"), 1);
  EXPECT_GE(moved("keyferry_store_opens_total{outcome=\"opened\"}"), 2);
  EXPECT_GE(moved("keyferry_store_sync_duration_seconds_count"), 1);
  EXPECT_EQ(after.Value("keyferry_store_failed"), 0);
  EXPECT_EQ(after.Value("keyferry_audit_failures_total"), 0);
  // They are noticed a moment after they were made.
  while (Take().Value("keyferry_oauth_connections{status=\"connected\"}") == 0) {
  }
  EXPECT_GT(after.Value("keyferry_process_records"), 0);
}

TEST_F(MetricsTest, CountsWhatCannotBeStored) {
  world_.SetStoreFull(true);
  EXPECT_FALSE(world_.Call(Who::kMember, "TokenService.GetCaller", "").ok());
  world_.SetStoreFull(false);
  EXPECT_EQ(Take().Value("keyferry_audit_failures_total"), 1);
}

TEST_F(MetricsTest, CountsRefusalsByTheRateThatWasExceeded) {
  world_.server()->SetRates({{1, 1}, {}, {}});
  for (int i = 0; i < 4; ++i) (void)world_.Call(Who::kMember, "TokenService.GetCaller", "");
  world_.server()->SetRates({{}, {}, {1, 1}});
  for (int i = 0; i < 4; ++i) (void)world_.Call(Who::kNobody, "TokenService.GetCaller", "");
  const Scrape scrape = Take();
  EXPECT_GE(scrape.Value("keyferry_rate_limit_refusals_total{limit=\"identity\"}"), 1);
  EXPECT_GE(scrape.Value("keyferry_rate_limit_refusals_total{limit=\"address\"}"), 1);
  EXPECT_EQ(scrape.Value("keyferry_rate_limit_refusals_total{limit=\"org\"}"), 0);
}

TEST_F(MetricsTest, ADrainingServerIsNotReadyAndSaysSo) {
  EXPECT_TRUE(world_.server()->Ready().ok());
  EXPECT_EQ(Take().Value("keyferry_draining"), 0);
  world_.server()->Drain(absl::ZeroDuration());
  EXPECT_EQ(world_.server()->Ready().message(), "the server is stopping");
  EXPECT_EQ(Take().Value("keyferry_draining"), 1);
}

// Calls of every row of the access matrix, by everybody.
void CallEverything(World* world) {
  for (const MatrixRow& row : AccessMatrix()) {
    for (const Who who :
         {Who::kNobody, Who::kAdmin, Who::kMember, Who::kOwner, Who::kService, Who::kWorkload, Who::kRival}) {
      (void)world->Call(who, row.method, "");
    }
  }
}

TEST_F(MetricsTest, NothingOfTenantsIsShown) {
  CallEverything(&world_);
  const std::string text = Text();
  for (const char* needle : {"marker-5e11ed", "acme", "rival", "root", "mia", "ola", "eli", "GITHUB", "github", "orgs/",
                             "users/", "portal", "runner", "127.0.0.1", "@", "kf_"}) {
    EXPECT_FALSE(absl::StrContains(text, needle)) << needle;
  }
}

TEST_F(MetricsTest, NoCallerCanMakeSeries) {
  CallEverything(&world_);
  const Scrape before = Take();
  // Who there is, and what they have, as far as one test goes.
  for (int i = 0; i < 40; ++i) {
    const std::string user = absl::StrCat("u", i);
    world_.MustCall(Who::kAdmin, "DirectoryService.CreateUser",
                    absl::StrCat("parent: 'orgs/acme' user_id: '", user, "' user { role: ORG_ROLE_MEMBER }"));
    world_.MustCall(Who::kAdmin, "CredentialService.CreateCredential",
                    absl::StrCat("parent: 'orgs/acme' credential_id: 'C", i, "' value: 'v'"));
    (void)world_.Call(Who::kMember, "CredentialService.GetCredential",
                      absl::StrCat("name: 'orgs/o", i, "/credentials/C", i, "'"));
  }
  CallEverything(&world_);
  const Scrape after = Take();
  std::vector<std::string> added;
  for (const auto& [sample, value] : after.samples) {
    if (before.samples.count(sample) == 0) added.push_back(sample);
  }
  // The first success or refusal of a method shows its code, and no more.
  EXPECT_LT(added.size(), 60u) << added.size() << " new series, e.g. " << (added.empty() ? "" : added[0]);
  for (const auto& [label, values] : after.labels) {
    if (label == "method" || label == "le") continue;
    EXPECT_LE(values.size(), 17u) << label;
  }
  EXPECT_LE(after.labels.at("method").size(), AllMethods().size() + 1);
  EXPECT_LT(after.samples.size(), 2500u);
}

}  // namespace
}  // namespace keyferry::testing
