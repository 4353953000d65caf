#ifndef KEYFERRY_CLIENT_CLI_TEST_SERVER_H_
#define KEYFERRY_CLIENT_CLI_TEST_SERVER_H_

#include <grpcpp/server.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "client/cli/test_oauth_services.h"
#include "keyferry/v1/credentials.grpc.pb.h"
#include "keyferry/v1/directory.grpc.pb.h"
#include "keyferry/v1/errors.pb.h"
#include "keyferry/v1/mcp_servers.grpc.pb.h"
#include "keyferry/v1/processes.grpc.pb.h"
#include "keyferry/v1/resolution.grpc.pb.h"
#include "keyferry/v1/sessions.grpc.pb.h"
#include "keyferry/v1/tokens.grpc.pb.h"

namespace keyferry::client::cli {

// A test double of keyferryd for the command line alone: the real service classes over real TLS on a free loopback
// port, answering from memory, with its CA and a token in files. It keeps what it was sent and fails as it is told to.
class TestServer {
 public:
  // `folder` receives ca.pem and token.
  explicit TestServer(const std::string& folder);
  ~TestServer();

  const std::string& address() const { return address_; }
  const std::string& ca_file() const { return ca_file_; }
  const std::string& token_file() const { return token_file_; }

  // Answers the next `times` calls with an error; `detail` may be null.
  void Fail(grpc::StatusCode code, const std::string& message, const v1::ErrorDetail* detail, int times = 1);

  // Requests in the order in which they came, as "MessageName {text format}" on one line.
  std::vector<std::string> Requests() const;
  // The value that a credential was last given.
  std::string Value(const std::string& name) const;
  // Values of the metadata `authorization` and `user-agent` of the last call.
  std::string Metadata(const std::string& key) const;
  // What GetCredentialRollout answers, one after the other; the last one stays.
  void SetRollouts(std::vector<v1::CredentialRollout> rollouts);
  // What the services of OAuth answer from now on.
  void SetOauthAnswers(TestOauthAnswers answers);
  // A variable that needs a connection to a provider.
  void NeedConnection(const std::string& variable, const std::string& provider);
  // Puts items where lists find them, e.g. credentials below "orgs/dev".
  void AddCredentials(int count);

 private:
  class Services;

  std::string address_;
  std::string ca_file_;
  std::string token_file_;
  const std::unique_ptr<Services> services_;
  const std::unique_ptr<TestOauthServices> oauth_services_;
  std::unique_ptr<grpc::Server> server_;
};

// A self-signed certificate for 127.0.0.1 and its key, both PEM.
struct TestCertificate {
  std::string certificate;
  std::string key;
};
TestCertificate MakeTestCertificate();

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_TEST_SERVER_H_
