#include "tests/harness/exposition_reader.h"

#include <regex>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace keyferry::testing {
namespace {

class Reader {
 public:
  absl::Status Read(absl::string_view text) {
    if (!absl::EndsWith(text, "\n")) return absl::InvalidArgumentError("the last line does not end");
    for (const absl::string_view line : absl::StrSplit(absl::StripSuffix(text, "\n"), '\n')) {
      const absl::Status status = ReadLine(std::string(line));
      if (!status.ok()) return absl::InvalidArgumentError(absl::StrCat(status.message(), ": ", line));
    }
    return absl::OkStatus();
  }

  Scrape Take() { return std::move(scrape_); }

 private:
  absl::Status ReadLine(const std::string& line) {
    static const auto* const kHelp = new std::regex("# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)");
    static const auto* const kType = new std::regex("# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram)");
    static const auto* const kSample = new std::regex("([a-zA-Z_:][a-zA-Z0-9_:]*)(\\{(.*)\\})? ([-+0-9.eInfNa]+)");
    std::smatch match;
    if (std::regex_match(line, match, *kHelp)) {
      if (scrape_.types.count(match[1]) > 0) return absl::InvalidArgumentError("a metric is there twice");
      helped_ = match[1];
      return absl::OkStatus();
    }
    if (std::regex_match(line, match, *kType)) {
      if (match[1] != helped_) return absl::InvalidArgumentError("a type without help");
      name_ = match[1];
      scrape_.types[name_] = match[2];
      return absl::OkStatus();
    }
    if (!std::regex_match(line, match, *kSample)) return absl::InvalidArgumentError("not a line of the format");
    double value = 0;
    if (!absl::SimpleAtod(absl::StripPrefix(std::string(match[4]), "+"), &value)) {
      return absl::InvalidArgumentError("not a number");
    }
    return AddSample(match[1], match[3], absl::StrCat(std::string(match[1]), std::string(match[2])), value);
  }

  absl::Status AddSample(const std::string& name, const std::string& labels, const std::string& sample, double value) {
    const std::string& type = scrape_.types[name_];
    const bool histogram = type == "histogram";
    const bool named =
        histogram ? name == name_ + "_bucket" || name == name_ + "_sum" || name == name_ + "_count" : name == name_;
    if (!named) return absl::InvalidArgumentError("a sample of another metric");
    if (type == "counter" && !absl::EndsWith(name, "_total")) return absl::InvalidArgumentError("not named _total");
    if (type != "gauge" && value < 0) return absl::InvalidArgumentError("a count below 0");
    if (!scrape_.samples.emplace(sample, value).second) return absl::InvalidArgumentError("a sample is there twice");
    if (!ReadLabels(labels)) return absl::InvalidArgumentError("labels that the format does not allow");
    return histogram ? CheckBuckets(name, labels, value) : absl::OkStatus();
  }

  bool ReadLabels(std::string labels) {
    static const auto* const kLabel =
        new std::regex("([a-zA-Z_][a-zA-Z0-9_]*)=\"(([^\"\\\\\n]|\\\\[\\\\\"n])*)\"(,|$)");
    std::smatch match;
    while (!labels.empty()) {
      if (!std::regex_search(labels, match, *kLabel, std::regex_constants::match_continuous)) return false;
      scrape_.labels[match[1]].insert(match[2]);
      labels = match.suffix();
    }
    return true;
  }

  absl::Status CheckBuckets(const std::string& name, const std::string& labels, double value) {
    if (name == name_ + "_bucket") {
      const bool first = last_bucket_ < 0;
      if (!first && value < last_bucket_) return absl::InvalidArgumentError("buckets are not cumulative");
      last_bucket_ = value;
      if (absl::StrContains(labels, "le=\"+Inf\"")) all_ = value;
      return absl::OkStatus();
    }
    last_bucket_ = -1;
    if (name == name_ + "_count" && value != all_)
      return absl::InvalidArgumentError("a count that is not that of +Inf");
    return absl::OkStatus();
  }

  Scrape scrape_;
  std::string helped_;
  std::string name_;
  double last_bucket_ = -1;
  double all_ = -1;
};

}  // namespace

double Scrape::Value(const std::string& sample) const {
  const auto found = samples.find(sample);
  return found == samples.end() ? 0 : found->second;
}

double Scrape::Sum(const std::string& name) const {
  double sum = 0;
  for (const auto& [sample, value] : samples) {
    if (sample == name || absl::StartsWith(sample, name + "{")) sum += value;
  }
  return sum;
}

absl::StatusOr<Scrape> ReadExposition(absl::string_view text) {
  Reader reader;
  const absl::Status status = reader.Read(text);
  if (!status.ok()) return status;
  return reader.Take();
}

}  // namespace keyferry::testing
