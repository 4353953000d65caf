#include <iostream>

#include "absl/synchronization/mutex.h"
#include "server/command_line.h"
#include "server/commands.h"
#include "server/errors.h"
#include "storage/crypto/secret_bytes.h"

int main(int argc, char** argv) {
  keyferry::storage::HardenProcess();
  // Debian's Abseil looks for lock cycles at every lock, under one lock of the whole process.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const auto parsed = keyferry::server::ParseCommandLine(argc, argv);
  if (const int* code = absl::get_if<int>(&parsed)) return *code;
  const absl::Status status = keyferry::server::RunCommand(absl::get<keyferry::server::CommandLine>(parsed));
  if (status.ok()) return 0;
  keyferry::v1::ErrorDetail detail;
  std::cerr << "keyferryd: " << status.message();
  if (keyferry::server::GetDetail(status, &detail)) std::cerr << ". " << detail.next_step();
  std::cerr << "\n";
  return 1;
}
