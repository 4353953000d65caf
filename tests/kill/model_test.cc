#include "tests/kill/model.h"

#include <string>

#include "gtest/gtest.h"

namespace keyferry::testing {
namespace {

const MaybeState kAbsent = std::nullopt;

MaybeState At(int64_t version, uint64_t nonce) { return CredentialState{version, nonce}; }

std::string Line(std::string with_newline) {
  with_newline.pop_back();
  return with_newline;
}

TEST(Model, AcknowledgedStatesAreTheOnlyOnes) {
  Model model;
  EXPECT_TRUE(model.Allows("A", kAbsent));
  ASSERT_TRUE(model.Read(Line(IntentLine({0, "A", At(1, 7)}))));
  EXPECT_TRUE(model.Allows("A", kAbsent)) << "the step may not have happened";
  EXPECT_TRUE(model.Allows("A", At(1, 7))) << "or it may";
  EXPECT_FALSE(model.Allows("A", At(1, 8)));
  EXPECT_FALSE(model.Allows("B", At(1, 7)));
  ASSERT_TRUE(model.Read(Line(AckLine(0))));
  EXPECT_FALSE(model.Allows("A", kAbsent)) << "an acknowledged write was lost";
  EXPECT_TRUE(model.Allows("A", At(1, 7)));
}

TEST(Model, DeletionsAndRefusals) {
  Model model;
  model.Settle("A", At(3, 9));
  ASSERT_TRUE(model.Read(Line(IntentLine({1, "A", kAbsent}))));
  EXPECT_TRUE(model.Allows("A", kAbsent));
  ASSERT_TRUE(model.Read(Line(RefusedLine(1))));
  EXPECT_FALSE(model.Allows("A", kAbsent));
  ASSERT_TRUE(model.Read(Line(IntentLine({1, "A", kAbsent}))));
  ASSERT_TRUE(model.Read(Line(AckLine(1))));
  EXPECT_FALSE(model.Allows("A", At(3, 9))) << "a deleted credential came back";
  EXPECT_EQ(model.acknowledged_steps(), 1);
}

TEST(Model, RefusesOtherLines) {
  Model model;
  for (const char* line : {"", "A", "A 0", "N 0", "I 0 A 1", "I x A 1 2", "I 0 A one 2", "Z 0"}) {
    EXPECT_FALSE(model.Read(line)) << line;
  }
}

}  // namespace
}  // namespace keyferry::testing
