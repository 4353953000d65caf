// URLs, origins, Host headers and forms as people and providers write them: what is read prints as something that is
// read as the same, and no host is another way to write an address.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "server/http/address_guard.h"
#include "server/http/ip_address.h"
#include "server/http/url.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyferry::server;
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto url = ParseHttpsUrl(text); url.ok()) {
    const auto again = ParseHttpsUrl(url->ToString());
    if (!again.ok() || again->host != url->host || again->port != url->port || again->target != url->target)
      std::abort();
    if (url->host_is_address != ParseIpAddress(url->host).ok()) std::abort();
    const auto authority = NormalizeAuthority(url->Authority());
    if (!authority.ok() || *authority != url->Authority()) std::abort();
    for (const char c : url->ToString()) {
      if (c <= ' ' || c >= 0x7f || c == '\\') std::abort();
    }
  }
  (void)ParseHttpsOrigin(text);
  (void)NormalizeAuthority(text);
  const auto decoded = PercentDecode(PercentEncode(text));
  if (!decoded.ok() || *decoded != text) std::abort();
  if (const auto form = FormDecode(text); form.ok()) {
    const auto again = FormDecode(FormEncode(*form));
    if (!again.ok() || *again != *form) std::abort();
  }
  if (const auto listen = ParseListenAddress(text); listen.ok()) {
    if (ParseListenAddress(listen->ToString())->ToString() != listen->ToString()) std::abort();
  }
  (void)AddressGuard::Create({std::string(text)});
  return 0;
}
