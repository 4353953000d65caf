#include "server/processes/process_table.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/errors.h"
#include "server/processes/process_info.h"

namespace keyferry::server {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1800000000);
constexpr char kToken[] = "orgs/acme/credentials/TOKEN";

ResolutionEvent Event(const std::string& process, int64_t version = 1, const std::string& principal = "ada") {
  ResolutionEvent event;
  event.org = "acme";
  event.mcp_server = "orgs/acme/mcpServers/m";
  event.principal = "orgs/acme/users/" + principal;
  event.credentials = {{"", "TOKEN", version, "TOKEN"}, {"", "TOKEN", version, "AGAIN"}};
  event.process.set_process_id(process);
  event.process.mutable_lease()->set_seconds(60);
  return event;
}

std::vector<int64_t> Versions(ProcessTable& table, absl::Time now) {
  std::vector<int64_t> versions;
  for (const LiveProcess& live : table.Holders("acme", kToken, now)) {
    versions.push_back(live.process->credentials(0).version());
  }
  return versions;
}

TEST(ProcessTableTest, KnowsWhatAProcessHoldsUntilItsLeaseEnds) {
  ProcessTable table;
  EXPECT_EQ(table.Observe(Event(""), kStart), "") << "no process is described";
  const std::string name = table.Observe(Event("p1"), kStart);
  EXPECT_EQ(name.substr(0, 23), "orgs/acme/processes/p1.");
  EXPECT_EQ(table.Observe(Event("p1", 2), kStart + absl::Seconds(30)), name);
  const auto live = table.List("acme", "", kStart + absl::Seconds(89));
  ASSERT_EQ(live.size(), 1);
  EXPECT_EQ(live[0].lease_expire_time, kStart + absl::Seconds(90));
  const v1::Process& process = *live[0].process;
  EXPECT_EQ(process.start_time().seconds(), absl::ToUnixSeconds(kStart));
  EXPECT_EQ(process.update_time().seconds(), absl::ToUnixSeconds(kStart) + 30);
  ASSERT_EQ(process.credentials_size(), 1);
  EXPECT_EQ(process.credentials(0).credential(), kToken);
  EXPECT_EQ(process.credentials(0).version(), 2);
  EXPECT_EQ(process.credentials(0).variables_size(), 2);
  EXPECT_EQ(table.List("acme", "orgs/acme/mcpServers/other", kStart).size(), 0);
  EXPECT_EQ(table.List("other", "", kStart).size(), 0);
  EXPECT_EQ(table.List("acme", "", kStart + absl::Seconds(90)).size(), 0);
  EXPECT_EQ(Versions(table, kStart + absl::Seconds(90)), (std::vector<int64_t>{}));
}

TEST(ProcessTableTest, ForgetsWhatAProcessNoLongerHolds) {
  ProcessTable table;
  table.Observe(Event("p1"), kStart);
  ResolutionEvent other = Event("p1");
  other.credentials = {{"users/ada", "TOKEN", 7, "TOKEN"}};
  table.Observe(other, kStart);
  EXPECT_EQ(table.Holders("acme", kToken, kStart).size(), 0);
  EXPECT_EQ(table.Holders("acme", "orgs/acme/users/ada/credentials/TOKEN", kStart).size(), 1);
}

TEST(ProcessTableTest, NobodyElseCanChangeHideOrTakeARecord) {
  ProcessTable table;
  const std::string name = table.Observe(Event("p1", 1, "ada"), kStart);
  EXPECT_NE(table.Observe(Event("p1", 9, "eve"), kStart), name);
  ResolutionEvent elsewhere = Event("p1", 9);
  elsewhere.mcp_server = "orgs/acme/mcpServers/other";
  EXPECT_NE(table.Observe(elsewhere, kStart), name);
  const auto live = table.List("acme", "", kStart);
  ASSERT_EQ(live.size(), 3);
  for (const LiveProcess& one : live) {
    if (one.process->name() != name) continue;
    EXPECT_EQ(one.process->credentials(0).version(), 1);
  }
}

TEST(ProcessTableTest, AWatchKeepsTheRecordAndItsEndStartsTheLease) {
  ProcessTable table;
  EXPECT_FALSE(table.WatchBegins("orgs/acme/processes/none"));
  EXPECT_FALSE(table.WatchBegins("nothing"));
  const std::string name = table.Observe(Event("p1"), kStart);
  EXPECT_TRUE(table.WatchBegins(name));
  EXPECT_TRUE(table.WatchBegins(name));
  const absl::Time later = kStart + absl::Hours(5);
  table.Observe(Event("p1", 2), later);
  table.WatchEnds(name, later);
  auto live = table.List("acme", "", later + absl::Hours(1));
  ASSERT_EQ(live.size(), 1);
  EXPECT_TRUE(live[0].watching);
  EXPECT_EQ(live[0].lease_expire_time, later + absl::Hours(1) + absl::Seconds(60));
  table.WatchEnds(name, later + absl::Hours(1));
  live = table.List("acme", "", later + absl::Hours(1) + absl::Seconds(59));
  ASSERT_EQ(live.size(), 1);
  EXPECT_FALSE(live[0].watching);
  EXPECT_EQ(table.List("acme", "", later + absl::Hours(1) + absl::Seconds(60)).size(), 0);
}

TEST(ProcessTableTest, IsFilledAgainFromThePast) {
  ProcessTable table;
  table.Observe(Event("long-gone"), kStart - absl::Hours(1));
  table.Observe(Event("p1", 1), kStart - absl::Seconds(40));
  table.Observe(Event("p1", 2), kStart - absl::Seconds(20));
  table.Observe(Event("p1", 1), kStart - absl::Seconds(40));
  EXPECT_EQ(Versions(table, kStart), (std::vector<int64_t>{2}));
}

ResolutionEvent Sent(const std::string& process, int64_t version, int64_t revision) {
  ResolutionEvent event = Event(process, version);
  event.holding = Holding::kOnceConfirmed;
  event.revision = revision;
  return event;
}

TEST(ProcessTableTest, WhatIsSentIsHeldOnceItIsConfirmed) {
  ProcessTable table;
  const std::string name = table.Observe(Sent("p1", 1, 10), kStart);
  EXPECT_EQ(table.PrincipalOf(name, kStart), "orgs/acme/users/ada");
  EXPECT_EQ(table.List("acme", "", kStart).size(), 1);
  EXPECT_EQ(Versions(table, kStart), (std::vector<int64_t>{})) << "it may not even run yet";
  EXPECT_FALSE(table.SentTo(name, 9).has_value());
  EXPECT_FALSE(table.SentTo("orgs/acme/processes/other", 10).has_value());
  table.Observe(*table.SentTo(name, 10), kStart);
  EXPECT_EQ(Versions(table, kStart), (std::vector<int64_t>{1}));
  EXPECT_EQ(table.Observe(Sent("p1", 2, 20), kStart), name);
  EXPECT_EQ(table.Observe(Sent("p1", 3, 30), kStart), name);
  EXPECT_EQ(Versions(table, kStart), (std::vector<int64_t>{1}));
  table.Observe(*table.SentTo(name, 30), kStart);
  EXPECT_EQ(Versions(table, kStart), (std::vector<int64_t>{3}));
  EXPECT_FALSE(table.SentTo(name, 20).has_value()) << "older than what is confirmed";
  EXPECT_TRUE(table.SentTo(name, 30).has_value()) << "the same again, e.g. after a crash of the process";
  table.Observe(Sent("p1", 2, 20), kStart);
  EXPECT_FALSE(table.SentTo(name, 20).has_value());
  ResolutionEvent late = Sent("p1", 2, 20);
  late.holding = Holding::kConfirmed;
  table.Observe(late, kStart);
  EXPECT_EQ(Versions(table, kStart), (std::vector<int64_t>{3}));
}

TEST(ProcessTableTest, AConfirmationKeepsTheShownProcessIdUnlessItBringsOne) {
  ProcessTable table;
  ResolutionEvent sent = Sent("p1", 1, 10);
  sent.process.set_pid(7);
  const std::string name = table.Observe(sent, kStart);
  ResolutionEvent confirmed = *table.SentTo(name, 10);
  EXPECT_EQ(confirmed.process.pid(), 7);
  confirmed.process.set_pid(8);
  table.Observe(confirmed, kStart);
  EXPECT_EQ(table.List("acme", "", kStart)[0].process->info().pid(), 8);
  sent.revision = 20;
  table.Observe(sent, kStart);
  EXPECT_EQ(table.SentTo(name, 20)->process.pid(), 8);
}

TEST(ProcessTableTest, WhatWaitsIsBoundedAndTheConfirmedStays) {
  ProcessTable table;
  const std::string name = table.Observe(Sent("p1", 1, 1), kStart);
  table.Observe(*table.SentTo(name, 1), kStart);
  const int64_t last = 100;
  for (int64_t revision = 2; revision <= last; ++revision) table.Observe(Sent("p1", revision, revision), kStart);
  EXPECT_TRUE(table.SentTo(name, 1).has_value());
  EXPECT_TRUE(table.SentTo(name, last).has_value());
  int known = 0;
  for (int64_t revision = 1; revision <= last; ++revision) known += table.SentTo(name, revision).has_value() ? 1 : 0;
  EXPECT_EQ(known, ProcessTable::kMaxSent + 1) << "what waits, and what is confirmed";
}

TEST(ProcessTableTest, AConfirmationCountsFromWhenTheVersionsWereGivenOut) {
  ProcessTable table;
  const std::string name = table.Observe(Sent("p1", 1, 10), kStart);
  table.Observe(*table.SentTo(name, 10), kStart + absl::Seconds(10));
  // Again, e.g. on a new stream.
  table.Observe(*table.SentTo(name, 10), kStart + absl::Seconds(20));
  EXPECT_EQ(table.List("acme", "", kStart + absl::Seconds(20))[0].given_time, kStart);
}

TEST(ProcessTableTest, AConfirmationCountsAlthoughTheClockWasSetBack) {
  ProcessTable table;
  const std::string name = table.Observe(Sent("p1", 1, 10), kStart);
  table.Observe(*table.SentTo(name, 10), kStart);
  table.Observe(Sent("p1", 2, 20), kStart);
  table.Observe(*table.SentTo(name, 20), kStart - absl::Seconds(10));
  EXPECT_EQ(Versions(table, kStart), (std::vector<int64_t>{2}));
}

TEST(ProcessTableTest, AResolutionLeavesWhatWaits) {
  ProcessTable table;
  const std::string name = table.Observe(Sent("p1", 2, 20), kStart);
  table.Observe(Event("p1", 1), kStart);
  ASSERT_TRUE(table.SentTo(name, 20).has_value());
  table.Observe(*table.SentTo(name, 20), kStart);
  EXPECT_EQ(Versions(table, kStart), (std::vector<int64_t>{2}));
}

TEST(ProcessTableTest, AnEndedProcessHoldsNothingAndIsNotListed) {
  ProcessTable table;
  EXPECT_FALSE(table.End("orgs/acme/processes/none", kStart).has_value());
  const std::string name = table.Observe(Event("p1"), kStart);
  table.Observe(Event("p2"), kStart);
  ASSERT_TRUE(table.End(name, kStart).has_value());
  EXPECT_EQ(Versions(table, kStart), (std::vector<int64_t>{1}));
  ASSERT_EQ(table.List("acme", "", kStart).size(), 1);
  EXPECT_EQ(table.List("acme", "", kStart)[0].process->info().process_id(), "p2");
  EXPECT_FALSE(table.End(name, kStart).has_value()) << "it had ended";
  EXPECT_EQ(table.PrincipalOf(name, kStart + absl::Seconds(59)), "orgs/acme/users/ada");
  EXPECT_EQ(table.PrincipalOf(name, kStart + absl::Seconds(60)), "");
  table.Observe(Event("p1", 2), kStart + absl::Seconds(1));
  EXPECT_EQ(Versions(table, kStart + absl::Seconds(1)), (std::vector<int64_t>{2})) << "it runs after all";
}

TEST(ProcessTableTest, AWatchedProcessThatEndedCanRunAgainAndElseGoesWithTheWatch) {
  ProcessTable table;
  const std::string name = table.Observe(Sent("p1", 1, 10), kStart);
  ASSERT_TRUE(table.WatchBegins(name));
  table.Observe(*table.SentTo(name, 10), kStart);
  ASSERT_TRUE(table.End(name, kStart).has_value());
  table.Observe(Sent("p1", 2, 20), kStart);
  const absl::Time later = kStart + absl::Hours(5);
  EXPECT_EQ(table.List("acme", "", later).size(), 0) << "what is sent to nobody is held by nobody";
  EXPECT_EQ(Versions(table, later), (std::vector<int64_t>{}));
  ASSERT_TRUE(table.SentTo(name, 20).has_value());
  table.Observe(*table.SentTo(name, 20), later);
  EXPECT_EQ(Versions(table, later), (std::vector<int64_t>{2}));
  ASSERT_TRUE(table.End(name, later).has_value());
  table.WatchEnds(name, later);
  EXPECT_EQ(table.List("acme", "", later).size(), 0);
  EXPECT_EQ(table.PrincipalOf(name, later + absl::Minutes(1)), "");
  EXPECT_EQ(table.size(), 0u);
}

TEST(ProcessTableTest, APrincipalMakesRoomOfItsOwn) {
  ProcessTable::Limits limits;
  limits.per_principal = 3;
  ProcessTable table(limits);
  table.Observe(Event("quiet", 1, "ada"), kStart);
  for (int i = 0; i < 10; ++i) {
    EXPECT_NE(table.Observe(Event(absl::StrCat("flood", i), 1, "eve"), kStart + absl::Seconds(i)), "");
  }
  std::vector<std::string> left;
  for (const LiveProcess& live : table.List("acme", "", kStart + absl::Seconds(10))) {
    left.push_back(live.process->info().process_id());
  }
  EXPECT_EQ(left, (std::vector<std::string>{"flood7", "flood8", "flood9", "quiet"}));
}

TEST(ProcessTableTest, InAFullOrgThePrincipalWithMostMakesRoom) {
  ProcessTable::Limits limits;
  limits.per_org = 4;
  ProcessTable table(limits);
  for (int i = 0; i < 4; ++i) table.Observe(Event(absl::StrCat("flood", i), 1, "eve"), kStart + absl::Seconds(i));
  EXPECT_NE(table.Observe(Event("quiet", 1, "ada"), kStart + absl::Seconds(5)), "");
  EXPECT_EQ(table.List("acme", "", kStart + absl::Seconds(5)).size(), 4);
  EXPECT_NE(table.Observe(Event("more", 1, "eve"), kStart + absl::Seconds(5)), "");
  bool quiet = false;
  for (const LiveProcess& live : table.List("acme", "", kStart + absl::Seconds(5))) {
    quiet = quiet || live.process->info().process_id() == "quiet";
  }
  EXPECT_TRUE(quiet) << "the flood gave up its own";
}

TEST(ProcessTableTest, WatchedRecordsAreNotGivenUp) {
  ProcessTable::Limits limits;
  limits.per_principal = 1;
  ProcessTable table(limits);
  EXPECT_TRUE(table.WatchBegins(table.Observe(Event("watching"), kStart)));
  EXPECT_EQ(table.Observe(Event("other"), kStart), "");
  EXPECT_EQ(table.List("acme", "", kStart).size(), 1);
}

TEST(ProcessInfoTest, NamesTheFieldThatIsWrong) {
  const auto field_of = [](const v1::ProcessInfo& info) {
    v1::ErrorDetail detail;
    const absl::Status status = CheckProcessInfo(info, "process");
    EXPECT_EQ(status.ok(), !GetDetail(status, &detail));
    return detail.field();
  };
  v1::ProcessInfo good;
  good.set_process_id("a-1");
  EXPECT_EQ(field_of(good), "");
  EXPECT_EQ(LeaseOf(good), absl::Hours(1));
  for (const std::string& id : {std::string(), std::string("A"), std::string("a.b"), std::string("a/b"),
                                std::string("a\n"), std::string(64, 'a')}) {
    v1::ProcessInfo bad = good;
    bad.set_process_id(id);
    EXPECT_EQ(field_of(bad), "process.process_id") << id;
  }
  v1::ProcessInfo bad = good;
  bad.set_host(std::string(257, 'h'));
  EXPECT_EQ(field_of(bad), "process.host");
  bad = good;
  bad.set_pod("a\nb");
  EXPECT_EQ(field_of(bad), "process.pod");
  bad = good;
  bad.set_pid(-1);
  EXPECT_EQ(field_of(bad), "process.pid");
  for (const int64_t seconds : {int64_t{-1}, int64_t{0}, int64_t{9}, int64_t{86401}, int64_t{1} << 62}) {
    bad = good;
    bad.mutable_lease()->set_seconds(seconds);
    EXPECT_EQ(field_of(bad), "process.lease") << seconds;
  }
  bad = good;
  bad.mutable_lease()->set_seconds(86400);
  EXPECT_EQ(field_of(bad), "");
  bad.mutable_lease()->set_nanos(1);
  EXPECT_EQ(field_of(bad), "process.lease");
  bad.mutable_lease()->set_nanos(-1);
  EXPECT_EQ(field_of(bad), "process.lease");
}

}  // namespace
}  // namespace keyferry::server
