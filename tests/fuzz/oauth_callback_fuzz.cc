// Queries of callbacks, which anybody can send: what is taken from them is printable.
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "server/oauth/protocol/authorization_url.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyferry;
  using namespace keyferry::server;
  auto query = ParseCallbackQuery(absl::string_view(reinterpret_cast<const char*>(data), size));
  if (!query.ok()) return 0;
  v1::OauthProvider provider;
  provider.mutable_endpoints()->set_issuer("https://p.test");
  const bool taken = TakeCode(provider, &*query).ok();
  if (taken == query->code.empty()) std::abort();
  if (taken && (!query->error.empty() || (!query->issuer.empty() && query->issuer != "https://p.test"))) std::abort();
  for (const std::string& text : {query->state, query->code, query->error, query->error_description, query->issuer}) {
    for (const char c : text) {
      if (c < 0x20 || c > 0x7e) std::abort();
    }
  }
  return 0;
}
