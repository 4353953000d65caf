#include "tests/harness/exposition_reader.h"

#include "gtest/gtest.h"

namespace keyferry::testing {
namespace {

TEST(ExpositionReaderTest, ReadsWhatTheFormatAllows) {
  const auto scrape = ReadExposition(
      "# HELP a_total A.\n# TYPE a_total counter\na_total{x=\"1\",y=\"\\\"\\\\\"} 3\na_total{x=\"2\",y=\"\"} 4\n"
      "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 1.5\nh_count 2\n");
  ASSERT_TRUE(scrape.ok()) << scrape.status();
  EXPECT_EQ(scrape->Sum("a_total"), 7);
  EXPECT_EQ(scrape->Value("a_total{x=\"2\",y=\"\"}"), 4);
  EXPECT_EQ(scrape->labels.at("x").size(), 2u);
  EXPECT_EQ(scrape->types.at("h"), "histogram");
}

TEST(ExpositionReaderTest, RefusesWhatItDoesNot) {
  const std::string head = "# HELP a_total A.\n# TYPE a_total counter\n";
  const std::string histogram = "# HELP h H.\n# TYPE h histogram\n";
  for (const std::string& text :
       {std::string("a_total 1\n"), head + "a_total 1", head + "a_total 1\na_total 1\n", head + "b_total 1\n",
        head + "a_total x\n", head + "a_total -1\n", head + "a_total{x=1} 1\n", head + "a_total{x=\"a\"b\"} 1\n",
        head + head, std::string("# TYPE a_total counter\na_total 1\n"),
        std::string("# HELP a A.\n# TYPE a counter\na 1\n"), head + "\na_total 1\n",
        histogram + "h_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 1\n",
        histogram + "h_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 2\n"}) {
    EXPECT_FALSE(ReadExposition(text).ok()) << text;
  }
}

}  // namespace
}  // namespace keyferry::testing
