#include "injector/mcp/line_framer.h"

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::injector::mcp {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class Lines : public LineSink {
 public:
  void OnLine(absl::string_view line) override { seen.emplace_back(line); }
  void OnOversizedLine() override { seen.emplace_back("OVERSIZED"); }
  std::vector<std::string> seen;
};

std::vector<std::string> Frame(const std::string& input, size_t chunk, size_t bound) {
  LineFramer framer(bound);
  Lines lines;
  for (size_t i = 0; i < input.size(); i += chunk) {
    // A copy of exact size, so that a sanitizer sees a read past its end.
    const std::string part = input.substr(i, chunk);
    framer.Write(part, lines);
    EXPECT_LE(framer.held(), bound);
  }
  framer.Finish(lines);
  EXPECT_EQ(framer.held(), 0u);
  return lines.seen;
}

TEST(LineFramerTest, AnyDivisionOfTheInputGivesTheSameLines) {
  const std::string input = "a\n\nbcdef\r\nghijklmnop\nq\nrstuvwxyz01\n2";
  for (size_t chunk = 1; chunk <= input.size(); ++chunk) {
    SCOPED_TRACE(chunk);
    EXPECT_THAT(Frame(input, chunk, 10),
                ElementsAre("a\n", "\n", "bcdef\r\n", "ghijklmnop\n", "q\n", "OVERSIZED", "2"));
    EXPECT_THAT(Frame(input, chunk, 9), ElementsAre("a\n", "\n", "bcdef\r\n", "OVERSIZED", "q\n", "OVERSIZED", "2"));
  }
}

TEST(LineFramerTest, AnUnfinishedOversizedLineIsReportedOnce) {
  for (size_t chunk = 1; chunk <= 40; ++chunk) {
    EXPECT_THAT(Frame(std::string(40, 'x'), chunk, 10), ElementsAre("OVERSIZED"));
  }
}

TEST(LineFramerTest, NothingComesOfNothing) { EXPECT_THAT(Frame("", 1, 10), IsEmpty()); }

TEST(LineFramerTest, ALineWithinOneWriteIsNotCopied) {
  class Sink : public LineSink {
   public:
    void OnLine(absl::string_view line) override { data = line.data(); }
    void OnOversizedLine() override {}
    const char* data = nullptr;
  } sink;
  const std::string input = "abc\n";
  LineFramer framer(10);
  framer.Write(input, sink);
  EXPECT_EQ(sink.data, input.data());
}

}  // namespace
}  // namespace keyferry::injector::mcp
