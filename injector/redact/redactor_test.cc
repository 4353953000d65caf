#include "injector/redact/redactor.h"

#include <gtest/gtest.h>

namespace keyferry::injector {
namespace {
TEST(Redactor, Replaces) {
  Redactor redactor(PatternSet::Compile({{"TOKEN", "s3cret-value"}}));
  std::string output;
  redactor.Write("a s3cret-value b\n", output);
  redactor.Finish(output);
  EXPECT_EQ(output, "a [keyferry:TOKEN] b\n");
}
}  // namespace
}  // namespace keyferry::injector
