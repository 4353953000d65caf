#include "metrics/exposition.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace keyferry::metrics {
namespace {

std::string EscapeLabel(absl::string_view value) {
  return absl::StrReplaceAll(value, {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}});
}

}  // namespace

std::string Exposition::Text(uint64_t value) { return absl::StrCat(value); }

std::string Exposition::Text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return absl::StrFormat("%.17g", value);
}

void Exposition::Begin(absl::string_view name, absl::string_view help, absl::string_view type) {
  name_ = std::string(name);
  absl::StrAppend(&text_, "# HELP ", name, " ", absl::StrReplaceAll(help, {{"\\", "\\\\"}, {"\n", "\\n"}}), "\n# TYPE ",
                  name, " ", type, "\n");
}

void Exposition::Write(absl::string_view suffix, Labels labels, absl::string_view bound, const std::string& value) {
  absl::StrAppend(&text_, name_, suffix);
  absl::string_view before = "{";
  for (const auto& [label, text] : labels) {
    absl::StrAppend(&text_, before, label, "=\"", EscapeLabel(text), "\"");
    before = ",";
  }
  if (!bound.empty()) {
    absl::StrAppend(&text_, before, "le=\"", bound, "\"");
    before = ",";
  }
  absl::StrAppend(&text_, before == "," ? "} " : " ", value, "\n");
}

void Exposition::Sample(const storage::Latencies& latencies, Labels labels) {
  uint64_t below = 0;
  for (size_t i = 0; i < storage::kLatencyBoundsMicros.size(); ++i) {
    below += latencies.buckets[i];
    Write("_bucket", labels, absl::StrCat(static_cast<double>(storage::kLatencyBoundsMicros[i]) / 1e6), Text(below));
  }
  const std::string all = Text(below + latencies.buckets.back());
  Write("_bucket", labels, "+Inf", all);
  Write("_sum", labels, "", Text(absl::ToDoubleSeconds(latencies.sum)));
  Write("_count", labels, "", all);
}

}  // namespace keyferry::metrics
