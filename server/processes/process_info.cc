#include "server/processes/process_info.h"

#include <algorithm>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/names.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr size_t kMaxIdBytes = 63;
constexpr size_t kMaxTextBytes = 256;
constexpr absl::Duration kMinLease = absl::Seconds(10);
constexpr absl::Duration kMaxLease = absl::Hours(24);
constexpr absl::Duration kDefaultLease = absl::Hours(1);

bool IsProcessId(absl::string_view id) {
  return !id.empty() && id.size() <= kMaxIdBytes && std::all_of(id.begin(), id.end(), [](char c) {
    return absl::ascii_islower(static_cast<unsigned char>(c)) || absl::ascii_isdigit(static_cast<unsigned char>(c)) ||
           c == '-';
  });
}

// One line.
absl::Status CheckLine(absl::string_view text, const std::string& field) {
  RETURN_IF_ERROR(CheckText(text, kMaxTextBytes, field));
  if (text.find_first_of("\t\n\r") == absl::string_view::npos) return absl::OkStatus();
  return InvalidField(field, "has a tab or a line break", "Remove control characters.");
}

}  // namespace

absl::Status CheckProcessInfo(const v1::ProcessInfo& info, absl::string_view field) {
  if (!IsProcessId(info.process_id())) {
    return InvalidField(absl::StrCat(field, ".process_id"), "not 1 to 63 of `a` to `z`, `0` to `9` and `-`",
                        "Choose one at random and send it with every call about the process.");
  }
  RETURN_IF_ERROR(CheckLine(info.host(), absl::StrCat(field, ".host")));
  RETURN_IF_ERROR(CheckLine(info.pod(), absl::StrCat(field, ".pod")));
  if (info.pid() < 0) return InvalidField(absl::StrCat(field, ".pid"), "negative", "Leave it out if it is not known.");
  if (!info.has_lease()) return absl::OkStatus();
  const google::protobuf::Duration& lease = info.lease();
  const bool readable = lease.nanos() >= 0 && lease.nanos() < 1'000'000'000 && lease.seconds() >= 0 &&
                        lease.seconds() <= absl::ToInt64Seconds(kMaxLease);
  if (!readable || LeaseOf(info) < kMinLease || LeaseOf(info) > kMaxLease) {
    return InvalidField(absl::StrCat(field, ".lease"), "not between 10 seconds and 24 hours",
                        "Leave it out for 1 hour.");
  }
  return absl::OkStatus();
}

absl::Duration LeaseOf(const v1::ProcessInfo& info) {
  if (!info.has_lease()) return kDefaultLease;
  return absl::Seconds(info.lease().seconds()) + absl::Nanoseconds(info.lease().nanos());
}

}  // namespace keyferry::server
