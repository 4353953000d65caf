// The token that an attacker presents: whatever passes the form check hashes, and has the documented length.
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "server/identity/token_text.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyferry::server;
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  if (IsTokenText(text) && (text.size() != 54 || HashTokenText(text).size() != 32)) std::abort();
  return 0;
}
