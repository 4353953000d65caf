#ifndef KEYFERRY_TESTS_HARNESS_EXPOSITION_READER_H_
#define KEYFERRY_TESTS_HARNESS_EXPOSITION_READER_H_

#include <map>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace keyferry::testing {

// What a text in Prometheus's exposition format 0.0.4 says.
struct Scrape {
  // By metric name: counter, gauge or histogram.
  std::map<std::string, std::string> types;
  // By name and labels, as they are written: `calls_total{code="OK"}`.
  std::map<std::string, double> samples;
  // Values of each label.
  std::map<std::string, std::set<std::string>> labels;

  // 0 if there is no such sample.
  double Value(const std::string& sample) const;
  // Of all samples of the metric.
  double Sum(const std::string& name) const;
};

// Reads it strictly: INVALID_ARGUMENT names the first line that the format does not allow, that is there twice, or that
// belongs to no metric with HELP and TYPE right before it; and a histogram whose buckets are not cumulative.
absl::StatusOr<Scrape> ReadExposition(absl::string_view text);

}  // namespace keyferry::testing

#endif  // KEYFERRY_TESTS_HARNESS_EXPOSITION_READER_H_
