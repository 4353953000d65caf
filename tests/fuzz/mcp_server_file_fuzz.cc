// MCP server files as people write them: errors name a place, and what is accepted has an id and bindings with sources.
#include <cstdint>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "client/mcp_server_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto documents = keyferry::client::ParseMcpServerFile(text, "file.yaml");
  if (!documents.ok()) {
    if (!absl::StartsWith(documents.status().message(), "file.yaml:")) std::abort();
    return 0;
  }
  if (documents->empty()) std::abort();
  for (const auto& document : *documents) {
    if (document.id.empty()) std::abort();
    for (const auto& binding : document.server.env()) {
      if (binding.source_case() == keyferry::v1::EnvBinding::SOURCE_NOT_SET) std::abort();
    }
  }
  return 0;
}
