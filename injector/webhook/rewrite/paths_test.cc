#include "injector/webhook/rewrite/paths.h"

#include "gtest/gtest.h"

namespace keyferry::injector::webhook {
namespace {

TEST(PathsTest, AreCleaned) {
  const struct {
    const char* path;
    const char* clean;
  } kCases[] = {{"/a/b", "/a/b"},      {"/a//b/", "/a/b"},   {"/a/./b/.", "/a/b"},  {"a/b", "/a/b"}, {"./a", "/a"},
                {"/a/x/../b", "/a/b"}, {"/../../a", "/a"},   {"/a/..", "/"},        {"", "/"},       {"//", "/"},
                {"/a/...", "/a/..."},  {"/a/..b", "/a/..b"}, {"/a/b/../../c", "/c"}};
  for (const auto& one : kCases) EXPECT_EQ(CleanPath(one.path), one.clean) << one.path;
}

TEST(PathsTest, OverlapOnceCleaned) {
  for (const char* const path : {"/keyferry", "/keyferry/", "//keyferry", "/./keyferry/bin", "keyferry/x", "/", ".",
                                 "/x/../keyferry", "/keyferry/bin/../.."}) {
    EXPECT_TRUE(PathsOverlap(path, "/keyferry")) << path;
    EXPECT_TRUE(PathsOverlap("/keyferry", path)) << path;
  }
  for (const char* const path : {"/keyferry2", "/key", "/x/keyferry", "/keyferry/../x"}) {
    EXPECT_FALSE(PathsOverlap(path, "/keyferry")) << path;
    EXPECT_FALSE(PathsOverlap("/keyferry", path)) << path;
  }
}

}  // namespace
}  // namespace keyferry::injector::webhook
