#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/config/sections.h"

namespace keyferry::server {

absl::Status CompleteLimits(config::Limits* limits) {
  if (limits->memory_budget_mib() == 0) limits->set_memory_budget_mib(192);
  if (limits->change_threads() == 0) limits->set_change_threads(64);
  if (limits->max_queued_changes() == 0) limits->set_max_queued_changes(1024);
  if (limits->max_streams_per_connection() == 0) limits->set_max_streams_per_connection(1000);
  if (limits->drain_seconds() == 0) limits->set_drain_seconds(10);
  if (limits->change_threads() > 1024) {
    return absl::InvalidArgumentError("`limits.change_threads` is more than 1024; lower it");
  }
  return absl::OkStatus();
}

absl::Status CompleteRates(config::Limits* limits) {
  if (!limits->has_calls_per_second_per_identity()) limits->set_calls_per_second_per_identity(2000);
  if (!limits->has_calls_per_second_per_org()) limits->set_calls_per_second_per_org(20000);
  if (!limits->has_failed_calls_per_second_per_address()) limits->set_failed_calls_per_second_per_address(20);
  constexpr uint32_t kMaxRate = 1000000;
  for (const auto& [name, rate] :
       {std::pair("calls_per_second_per_identity", limits->calls_per_second_per_identity()),
        std::pair("call_burst_per_identity", limits->call_burst_per_identity()),
        std::pair("calls_per_second_per_org", limits->calls_per_second_per_org()),
        std::pair("call_burst_per_org", limits->call_burst_per_org()),
        std::pair("failed_calls_per_second_per_address", limits->failed_calls_per_second_per_address()),
        std::pair("failed_call_burst_per_address", limits->failed_call_burst_per_address())}) {
    if (rate > kMaxRate) {
      return absl::InvalidArgumentError(
          absl::StrCat("`limits.", name, "` is more than ", kMaxRate, "; lower it, or take a rate of 0 for no limit"));
    }
  }
  if (limits->call_burst_per_identity() == 0) {
    limits->set_call_burst_per_identity(2 * limits->calls_per_second_per_identity());
  }
  if (limits->call_burst_per_org() == 0) limits->set_call_burst_per_org(2 * limits->calls_per_second_per_org());
  if (limits->failed_call_burst_per_address() == 0) {
    limits->set_failed_call_burst_per_address(10 * limits->failed_calls_per_second_per_address());
  }
  return absl::OkStatus();
}

}  // namespace keyferry::server
