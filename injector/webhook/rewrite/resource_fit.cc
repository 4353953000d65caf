#include "injector/webhook/rewrite/resource_fit.h"

#include <cstdint>
#include <utility>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace keyferry::injector::webhook {
namespace {

constexpr uint64_t kBillion = 1'000'000'000;
constexpr std::pair<const char*, uint64_t> kUnits[] = {
    {"Ki", kBillion << 10}, {"Mi", kBillion << 20},      {"Gi", kBillion << 30},          {"m", kBillion / 1000},
    {"k", kBillion * 1000}, {"M", kBillion * 1'000'000}, {"G", kBillion * 1'000'000'000},
};

// In billionths, rounded up as Kubernetes does it. A quantity has at most 16 digits, so that nothing overflows.
absl::uint128 Billionths(absl::string_view quantity) {
  absl::uint128 unit = kBillion;
  for (const auto& [suffix, size] : kUnits) {
    if (!absl::ConsumeSuffix(&quantity, suffix)) continue;
    unit = size;
    break;
  }
  absl::uint128 digits = 0, divisor = 1;
  bool fraction = false;
  for (const char c : quantity) {
    if (c == '.') {
      fraction = true;
      continue;
    }
    digits = digits * 10 + static_cast<unsigned>(c - '0');
    if (fraction) divisor *= 10;
  }
  return (digits * unit + divisor - 1) / divisor;
}

}  // namespace

bool IsAbove(absl::string_view request, absl::string_view limit) {
  return !request.empty() && !limit.empty() && Billionths(request) > Billionths(limit);
}

bool SetRequestAndLimit(const std::optional<std::string>& given_request, const std::optional<std::string>& given_limit,
                        std::string* request, std::string* limit) {
  const std::string wanted = given_request.value_or(*request), most = given_limit.value_or(*limit);
  const bool above = IsAbove(wanted, most);
  if (above && given_request.has_value() && given_limit.has_value()) return false;
  *request = above && given_limit.has_value() ? most : wanted;
  *limit = above && given_request.has_value() ? wanted : most;
  return true;
}

std::string AboveProblem(absl::string_view request, absl::string_view limit) {
  return absl::StrCat("the request ", request, " is above the limit ", limit);
}

}  // namespace keyferry::injector::webhook
