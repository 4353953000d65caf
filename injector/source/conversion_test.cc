#include "injector/source/conversion.h"

#include <functional>
#include <set>
#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace keyferry::injector {
namespace {

v1::ResolveResponse Response() {
  v1::ResolveResponse response;
  response.set_revision(7);
  v1::ResolvedVariable* variable = response.add_variables();
  variable->set_variable("A");
  variable->set_value("the-value-of-a");
  variable->set_credential("orgs/acme/credentials/A");
  variable->set_version(3);
  variable->mutable_refresh_time()->set_seconds(1800000000);
  variable->mutable_refresh_time()->set_nanos(5);
  variable = response.add_variables();
  variable->set_variable("PATH");
  variable->set_value("/opt");
  variable->set_allowed_by_org(true);
  return response;
}

TEST(ConversionTest, TakesEverythingOutOfTheResponse) {
  v1::ResolveResponse response = Response();
  const ResolvedEnvironment environment = TakeEnvironment(&response);
  EXPECT_EQ(response.ByteSizeLong(), 0);
  EXPECT_EQ(environment.revision, 7);
  ASSERT_EQ(environment.variables.size(), 2);
  EXPECT_EQ(environment.variables[0].name, "A");
  EXPECT_EQ(environment.variables[0].value.Expose(), "the-value-of-a");
  EXPECT_FALSE(environment.variables[0].allowed_by_org);
  EXPECT_EQ(environment.variables[0].credential, "orgs/acme/credentials/A");
  EXPECT_EQ(environment.variables[0].version, 3);
  EXPECT_EQ(environment.variables[0].refresh_time, absl::FromUnixSeconds(1800000000) + absl::Nanoseconds(5));
  EXPECT_TRUE(environment.variables[1].allowed_by_org);
  EXPECT_EQ(environment.variables[1].refresh_time, absl::InfiniteFuture());
}

// The bytes are looked at where they stood; nothing is allocated in between.
TEST(ConversionTest, LeavesNoValueInTheResponse) {
  for (const bool take : {true, false}) {
    v1::ResolveResponse response = Response();
    std::string* const value = response.mutable_variables(0)->mutable_value();
    value->reserve(64);
    const char* const bytes = value->data();
    ResolvedEnvironment environment;
    if (take) {
      environment = TakeEnvironment(&response);
    } else {
      WipeValues(&response);
    }
    // Clearing keeps the strings of a repeated field for their next use.
    EXPECT_EQ(std::string(bytes, 14), std::string(14, '\0'));
  }
}

TEST(ConversionTest, BuildsTheEnvironmentOfAProcess) {
  v1::ResolveResponse response = Response();
  const ResolvedEnvironment resolved = TakeEnvironment(&response);
  const char* const inherited[] = {"A=old", "HOME=/root", "KEYFERRY_ORG=acme", nullptr};
  const auto environment = EnvironmentFor(inherited, InheritRules(), resolved);
  ASSERT_TRUE(environment.ok()) << environment.status();
  EXPECT_STREQ(environment->Find("A"), "the-value-of-a");
  EXPECT_STREQ(environment->Find("HOME"), "/root");
  EXPECT_STREQ(environment->Find("PATH"), "/opt");
  EXPECT_EQ(environment->Find("KEYFERRY_ORG"), nullptr);
}

TEST(EnvironmentFingerprinterTest, EveryFieldCountsButTheRevision) {
  const EnvironmentFingerprinter fingerprinter;
  const auto of = [&](const std::function<void(v1::ResolveResponse*)>& edit) {
    v1::ResolveResponse response = Response();
    edit(&response);
    return fingerprinter.Of(TakeEnvironment(&response));
  };
  const auto same = of([](auto*) {});
  EXPECT_EQ(of([](auto* response) { response->set_revision(8); }), same);
  std::set<EnvironmentFingerprinter::Fingerprint> others = {same};
  for (const auto& edit : std::initializer_list<std::function<void(v1::ResolveResponse*)>>{
           [](auto* r) { r->mutable_variables(0)->set_variable("B"); },
           [](auto* r) { r->mutable_variables(0)->set_value("the-value-of-b"); },
           [](auto* r) { r->mutable_variables(0)->set_version(4); },
           [](auto* r) { r->mutable_variables(0)->set_credential("orgs/acme/teams/eng/credentials/A"); },
           [](auto* r) { r->mutable_variables(0)->set_allowed_by_org(true); },
           [](auto* r) { r->mutable_variables(0)->clear_refresh_time(); },
           [](auto* r) { r->mutable_variables()->RemoveLast(); },
           [](auto* r) { r->mutable_variables()->SwapElements(0, 1); }}) {
    EXPECT_TRUE(others.insert(of(edit)).second);
  }
  EXPECT_NE(EnvironmentFingerprinter().Of(ResolvedEnvironment()), fingerprinter.Of(ResolvedEnvironment()))
      << "nobody else's fingerprint says anything about the values";
}

}  // namespace
}  // namespace keyferry::injector
