#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_MOCK_PROVIDER_SERVER_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_MOCK_PROVIDER_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "server/http/https_listener.h"
#include "server/http/testing_tls.h"
#include "server/oauth/protocol/mock_provider.h"

namespace keyferry::server {

// Testonly. A MockProvider at https://127.0.0.1:PORT, over real TLS with a certificate of `ca`. Its issuer is that
// address, whatever the options say. Aborts the test if it cannot listen.
class MockProviderServer {
 public:
  explicit MockProviderServer(const TestCa& ca, MockProviderOptions options = {},
                              std::function<absl::Time()> clock = absl::Now);
  ~MockProviderServer();

  MockProvider* operator->() { return provider_.get(); }
  const std::string& issuer() const { return issuer_; }
  // Its endpoints, and the client that it knows.
  v1::OauthProvider Definition() const;

  // Answers a request before the provider does, unless its status is 0. To be set before requests come.
  std::function<HttpResponse(const HttpRequest&)> first;

 private:
  HttpResponse Answer(ReceivedRequest received);

  std::string issuer_;
  MockClient client_;
  std::unique_ptr<MockProvider> provider_;
  std::unique_ptr<HttpsListener> listener_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_MOCK_PROVIDER_SERVER_H_
