// Metadata of authorization servers (RFC 8414) and protected resources (RFC 9728), and answers to registrations (RFC
// 7591): what is taken is of the one that was asked, and every endpoint is https.
#include <cstdint>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "server/oauth/protocol/metadata_document.h"
#include "server/oauth/protocol/registration_response.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyferry::server;
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  HttpResponse response;
  response.status = 201;
  response.body = std::string(text);
  const auto client = ReadRegistration(response, "");
  if (client.ok() && client->client_id.empty()) std::abort();
  const auto document = Document::ParseJson(text);
  if (!document.ok()) return 0;
  DiscoveredMetadata server;
  server.endpoints.set_issuer("https://p.test");
  if (ReadServerMetadata(*document, &server).ok()) {
    if (server.endpoints.issuer() != "https://p.test" && server.endpoints.issuer() != "https://p.test/") std::abort();
    for (const std::string& url : {server.endpoints.token_url(), server.endpoints.authorization_url(),
                                   server.endpoints.revocation_url(), server.endpoints.userinfo_url()}) {
      if (!url.empty() && !absl::StartsWithIgnoreCase(url, "https://")) std::abort();
    }
  }
  DiscoveredMetadata resource;
  std::string issuer;
  if (ReadResourceMetadata(*document, "https://p.test/mcp", &resource, &issuer).ok()) {
    if (!absl::StartsWithIgnoreCase(issuer, "https://")) std::abort();
  }
  return 0;
}
