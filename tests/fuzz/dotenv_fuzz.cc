// Dotenv files as people write them: errors name a place, and what is accepted is a credential.
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "client/dotenv.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace client = keyferry::client;
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto entries = client::ParseDotenv(text, "file.env");
  if (!entries.ok()) {
    if (!absl::StartsWith(entries.status().message(), "file.env:")) std::abort();
    return 0;
  }
  std::set<std::string> names;
  for (const auto& entry : *entries) {
    if (!client::IsVariableName(entry.name) || !names.insert(entry.name).second) std::abort();
    const absl::string_view value = entry.value.Expose();
    if (value.empty() || value.size() > client::kMaxCredentialValueBytes || absl::StrContains(value, '\0'))
      std::abort();
    if (entry.line < 1 || entry.column < 1) std::abort();
  }
  return 0;
}
