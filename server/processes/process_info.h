#ifndef KEYFERRY_SERVER_PROCESSES_PROCESS_INFO_H_
#define KEYFERRY_SERVER_PROCESSES_PROCESS_INFO_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "keyferry/v1/processes.pb.h"

namespace keyferry::server {

// OK if `info` is as keyferry/v1/processes.proto asks; else INVALID_ARGUMENT naming the field below `field`.
absl::Status CheckProcessInfo(const v1::ProcessInfo& info, absl::string_view field);

// How long a record lives without another call about its process: 1 hour if `info` does not say.
absl::Duration LeaseOf(const v1::ProcessInfo& info);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_PROCESSES_PROCESS_INFO_H_
