// Audit files as anybody may have changed them: whatever is wrong is told with its place, and what passes counts
// entries.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <string>

#include "absl/strings/match.h"
#include "client/audit_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto head = keyferry::client::ParseAuditHead(text, "head");
  if (head.ok() && (head->sequence() < 0 || head->hash().size() != 32)) std::abort();
  keyferry::client::AuditVerifier verifier(std::nullopt);
  std::istringstream file(text);
  const absl::Status read = verifier.Read(file, "file");
  if (!read.ok()) {
    if (!absl::StartsWith(read.message(), "file:")) std::abort();
    return 0;
  }
  verifier.Finish().IgnoreError();
  if (verifier.entry_count() > static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'))) std::abort();
  return 0;
}
