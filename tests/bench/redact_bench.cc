// Redaction of text that holds no value, against copying the same text: prints tab-separated rows `what subject floor
// unit ratio`. Flags: --seconds S.
#include <string.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "injector/redact/pattern_set.h"
#include "injector/redact/redactor.h"
#include "tests/bench/flags.h"
#include "tests/bench/measure.h"

namespace keyferry::bench {
namespace {

using injector::NamedValue;
using injector::PatternSet;
using injector::Redactor;

constexpr int kRounds = 7;
constexpr size_t kTextBytes = size_t{4} << 20;
constexpr size_t kChunkBytes = size_t{64} << 10;
constexpr double kGigabyte = 1e9;

std::string RandomText(std::mt19937& random, size_t size, absl::string_view alphabet) {
  std::string text;
  while (text.size() < size) text += alphabet[random() % alphabet.size()];
  return text;
}

// Tokens as issuers form them: a prefix and 36 letters and digits; every fifth in base64 with its special digits.
class Values {
 public:
  explicit Values(size_t count) {
    std::mt19937 random(7);
    for (size_t i = 0; i < count; ++i) {
      owned_.push_back(i % 5 == 4 ? RandomText(random, 43, kAlphanumeric + std::string("+/")) + "="
                                  : "ghp_" + RandomText(random, 36, kAlphanumeric));
    }
    for (size_t i = 0; i < count; ++i) named_.push_back({absl::StrCat("VALUE_", i), owned_[i]});
  }

  std::shared_ptr<const PatternSet> Compile() const { return PatternSet::Compile(named_); }

 private:
  static constexpr char kAlphanumeric[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

  std::vector<std::string> owned_;
  std::vector<NamedValue> named_;
};

std::string Words(std::mt19937& random, size_t count) {
  static const char* const kWords[] = {
      "the",     "issue",     "repository", "was",    "closed",  "by",    "a",
      "comment", "on",        "commit",     "which",  "changed", "files", "in",
      "src/lib", "README.md", "version",    "2.14.3", "of",      "Größe", "https://example.com/a?b=c"};
  std::string text;
  for (size_t i = 0; i < count; ++i) absl::StrAppend(&text, kWords[random() % (sizeof(kWords) / sizeof(*kWords))], " ");
  return text;
}

std::string LogText() {
  std::mt19937 random(1);
  std::string text;
  while (text.size() < kTextBytes) absl::StrAppend(&text, "2026-01-01T00:00:00.000Z INFO ", Words(random, 12), "\n");
  return text;
}

// Results of tools: JSON in strings of JSON, about one escape in twenty bytes.
std::string JsonText() {
  std::mt19937 random(2);
  std::string text;
  while (text.size() < kTextBytes) {
    absl::StrAppend(&text, R"({"jsonrpc":"2.0","id":)", random() % 1000,
                    R"(,"result":{"content":[{"type":"text","text":")");
    for (int i = 0; i < 40; ++i)
      absl::StrAppend(&text, R"({\"number\":)", random() % 1000, R"(,\"title\":\")", Words(random, 6), R"(\"},\n)");
    absl::StrAppend(&text, "\"}]}}\n");
  }
  return text;
}

// An image of a tool in one line.
std::string Base64Text() {
  std::mt19937 random(3);
  return absl::StrCat(
      R"({"data":")",
      RandomText(random, kTextBytes, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"), "\"}\n");
}

class RedactBench {
 public:
  explicit RedactBench(double seconds) : seconds_(seconds) { output_.reserve(kChunkBytes * 2); }

  void Text(const std::string& name, const std::string& text) {
    for (const size_t count : {1, 10, 100}) {
      Redactor redactor(Values(count).Compile());
      const auto redact = [&](absl::string_view chunk) { redactor.Write(chunk, output_); };
      const auto copy = [&](absl::string_view chunk) { output_.append(chunk.data(), chunk.size()); };
      const Comparison result = Compare(
          kRounds, [&] { return BytesPerSecond(text, redact); }, [&] { return BytesPerSecond(text, copy); });
      Print(absl::StrCat("redact ", name, ", ", count, " values"), result);
    }
  }

  // The memory that a set of 10 and one of 100 values occupy, against what the injector may have.
  void Memory() {
    for (const size_t count : {1, 10, 100}) {
      const double kib = Values(count).Compile()->memory_bytes() / 1024.0;
      std::printf("patterns of %zu values\t%.1f\t%.1f\tKiB\t%.3f\n", count, kib, 16384.0, kib / 16384);
    }
  }

 private:
  template <typename Operation>
  double BytesPerSecond(const std::string& text, const Operation& operation) {
    size_t at = 0;
    const double calls = CallsPerSecond(1, seconds_, [&](int, uint64_t) {
      for (int i = 0; i < 8; ++i) {
        output_.clear();
        operation(absl::string_view(text).substr(at, kChunkBytes));
        at = at + 2 * kChunkBytes <= text.size() ? at + kChunkBytes : 0;
      }
    });
    return calls * 8 * kChunkBytes;
  }

  static void Print(const std::string& what, const Comparison& result) {
    std::printf("%s\t%.1f\t%.1f\tMB/s\t%.3f\n", what.c_str(), result.subject / 1e6, result.floor / 1e6, result.ratio);
    std::printf("%s, of 1 GB/s\t%.1f\t%.1f\tMB/s\t%.3f\n", what.c_str(), result.subject / 1e6, kGigabyte / 1e6,
                result.subject / kGigabyte);
    std::fflush(stdout);
  }

  const double seconds_;
  std::string output_;
};

}  // namespace
}  // namespace keyferry::bench

int main(int argc, char** argv) {
  auto flags = keyferry::bench::ParseFlags(argc, argv);
  keyferry::bench::RedactBench bench(std::stod(flags["seconds"]));
  bench.Text("log lines", keyferry::bench::LogText());
  bench.Text("JSON lines", keyferry::bench::JsonText());
  bench.Text("base64 in JSON", keyferry::bench::Base64Text());
  bench.Memory();
  return 0;
}
