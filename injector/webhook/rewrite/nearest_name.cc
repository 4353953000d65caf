#include "injector/webhook/rewrite/nearest_name.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace keyferry::injector::webhook {
namespace {

constexpr size_t kLongest = 64;
constexpr size_t kMostEdits = 3;

// Levenshtein distance.
size_t Distance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string NearestName(absl::string_view text, const std::vector<std::string>& names) {
  if (text.size() > kLongest) return "";
  std::string nearest;
  size_t least = std::min(kMostEdits, text.size() / 2) + 1;
  for (const std::string& name : names) {
    const size_t distance = Distance(text, name);
    if (distance >= least) continue;
    least = distance;
    nearest = name;
  }
  return nearest;
}

}  // namespace keyferry::injector::webhook
