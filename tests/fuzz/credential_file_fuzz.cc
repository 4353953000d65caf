// Credential files in JSON and YAML: errors name a place, and what is accepted is a credential.
#include <cstdint>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "client/credential_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace client = keyferry::client;
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto format : {client::CredentialFileFormat::kJson, client::CredentialFileFormat::kYaml}) {
    const auto credentials = client::ParseCredentialFile(text, format, "file");
    if (!credentials.ok()) {
      if (!absl::StartsWith(credentials.status().message(), "file:")) std::abort();
      continue;
    }
    if (credentials->empty()) std::abort();
    for (const auto& one : *credentials) {
      if (one.name.empty() || one.value.empty() || absl::StrContains(one.value.Expose(), '\0')) std::abort();
    }
  }
  return 0;
}
