#ifndef KEYFERRY_METRICS_EXPOSITION_H_
#define KEYFERRY_METRICS_EXPOSITION_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "storage/counters.h"

namespace keyferry::metrics {

// Writes Prometheus's text exposition format 0.0.4. Not thread-safe.
//
// Labels hold what the program itself names (methods, codes, kinds of outcomes), never what a caller or a tenant does:
// an organization, user, credential or provider as a label would show who there is to everyone who reads metrics, and
// make as many series as anybody cares to create.
class Exposition {
 public:
  using Labels = std::initializer_list<std::pair<absl::string_view, absl::string_view>>;

  // The content type of the text.
  static constexpr char kContentType[] = "text/plain; version=0.0.4; charset=utf-8";

  // Begin a metric, which the samples that follow belong to. The name of a counter ends in "_total".
  void Counter(absl::string_view name, absl::string_view help) { Begin(name, help, "counter"); }
  void Gauge(absl::string_view name, absl::string_view help) { Begin(name, help, "gauge"); }
  void Histogram(absl::string_view name, absl::string_view help) { Begin(name, help, "histogram"); }

  void Sample(uint64_t value, Labels labels = {}) { Write("", labels, "", Text(value)); }
  void Sample(double value, Labels labels = {}) { Write("", labels, "", Text(value)); }
  // Of a histogram, in seconds.
  void Sample(const storage::Latencies& latencies, Labels labels = {});

  // A metric with one sample.
  void Counter(absl::string_view name, absl::string_view help, uint64_t value) {
    Counter(name, help);
    Sample(value);
  }
  void Gauge(absl::string_view name, absl::string_view help, double value) {
    Gauge(name, help);
    Sample(value);
  }

  std::string Take() { return std::move(text_); }

 private:
  void Begin(absl::string_view name, absl::string_view help, absl::string_view type);
  void Write(absl::string_view suffix, Labels labels, absl::string_view bound, const std::string& value);
  static std::string Text(uint64_t value);
  static std::string Text(double value);

  std::string name_;
  std::string text_;
};

}  // namespace keyferry::metrics

#endif  // KEYFERRY_METRICS_EXPOSITION_H_
