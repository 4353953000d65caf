#include "server/rpc/grpc_log.h"

#include <grpc/support/log.h>
#include <unistd.h>

#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "google/protobuf/stubs/logging.h"
#include "server/log.h"

namespace keyferry::server {
namespace {

void Drop(gpr_log_func_args*) {}

void WriteAsJson(gpr_log_func_args* args) {
  if (args->severity < GPR_LOG_SEVERITY_ERROR) return;
  const std::string time = absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", absl::Now(), absl::UTCTimeZone());
  const std::string line = FormatLogLine(time, LogLevel::kWarning, "grpc", {{"problem", args->message}}) + "\n";
  // One write, so that lines of other threads do not mix with it; nothing can be done about a failed one.
  if (write(STDERR_FILENO, line.data(), line.size()) < 0) return;
}

}  // namespace

void DropGrpcLog() {
  gpr_set_log_function(Drop);
  google::protobuf::SetLogHandler(nullptr);
}

void WriteGrpcLogAsJson() {
  gpr_set_log_function(WriteAsJson);
  google::protobuf::SetLogHandler(nullptr);
}

}  // namespace keyferry::server
