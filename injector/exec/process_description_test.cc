#include "injector/exec/process_description.h"

#include <unistd.h>

#include <map>
#include <string>

#include "gtest/gtest.h"

namespace keyferry::injector {
namespace {

v1::ProcessInfo Describe(const std::map<std::string, std::string>& environment) {
  return DescribeProcess(
      [&](const char* name) -> const char* {
        const auto found = environment.find(name);
        return found == environment.end() ? nullptr : found->second.c_str();
      },
      absl::Hours(24));
}

TEST(ProcessDescriptionTest, NamesTheProcess) {
  const v1::ProcessInfo info = Describe({});
  EXPECT_EQ(info.process_id().size(), 32);
  EXPECT_EQ(info.process_id().find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_NE(info.process_id(), Describe({}).process_id());
  char host[256] = {};
  ASSERT_EQ(gethostname(host, sizeof(host) - 1), 0);
  EXPECT_EQ(info.host(), host);
  EXPECT_EQ(info.pid(), getpid());
  EXPECT_EQ(info.lease().seconds(), 86400);
  EXPECT_EQ(info.pod(), "");
}

TEST(ProcessDescriptionTest, NamesThePod) {
  const std::map<std::string, std::string> downward = {{"POD_NAME", "web-1"}, {"POD_NAMESPACE", "shop"}};
  EXPECT_EQ(Describe(downward).pod(), "shop/web-1");
  EXPECT_EQ(Describe({{"POD_NAME", "web-1"}}).pod(), "");
  std::map<std::string, std::string> both = downward;
  both["KEYFERRY_POD"] = "own/pod";
  EXPECT_EQ(Describe(both).pod(), "own/pod");
  EXPECT_EQ(Describe({{"KEYFERRY_POD", "a\nb"}}).pod(), "");
  EXPECT_EQ(Describe({{"KEYFERRY_POD", std::string(257, 'a')}}).pod(), "");
  EXPECT_EQ(Describe({{"KEYFERRY_POD", "\xff"}}).pod(), "");
}

}  // namespace
}  // namespace keyferry::injector
