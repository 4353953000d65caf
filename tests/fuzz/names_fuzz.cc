// Resource names and variable names as a request carries them: a parsed name prints as what was parsed.
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "server/names.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyferry::server;
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const auto parent = ParseParent(text, "parent");
  if (parent.ok() && parent->Name() != text) std::abort();
  for (const char* collection : {"credentials", "mcpServers", "tokens", "members"}) {
    const auto child = ParseChild(text, collection, "name");
    if (child.ok() && child->Name(collection) != text) std::abort();
  }
  (void)CheckVariableName(text, "variable");
  (void)CheckText(text, 1024, "description");
  (void)CheckValue(text, "value");
  return 0;
}
