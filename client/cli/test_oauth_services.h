#ifndef KEYFERRY_CLIENT_CLI_TEST_OAUTH_SERVICES_H_
#define KEYFERRY_CLIENT_CLI_TEST_OAUTH_SERVICES_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "keyferry/v1/connections.grpc.pb.h"
#include "keyferry/v1/oauth_providers.grpc.pb.h"

namespace keyferry::client::cli {

// What the double of OAuth answers; each as it stands when a call comes.
struct TestOauthAnswers {
  // What GetOauthProvider answers, but for its name.
  v1::OauthProvider provider;
  // There is no such provider, or no such connection.
  bool no_provider = false;
  bool no_connection = false;
  v1::DeleteOauthProviderResponse affected;
  // Of an update.
  int outdated_connections = 0;
  v1::CheckOauthProviderResponse check;
  // Empty for a grant without a person.
  std::string start_url;
  // What GetConnectionAttempt answers, one after the other; the last one stays.
  std::vector<v1::ConnectionAttempt> attempts = std::vector<v1::ConnectionAttempt>(1);
  // How many calls of GetConnectionAttempt fail first.
  int unavailable_attempts = 0;
  // What GetConnection and ListConnections answer, but for the name of the one.
  v1::Connection connection;
};

// Test doubles of the two services of OAuth for the command line alone. Thread-safe.
class TestOauthServices : public v1::OauthProviderService::Service, public v1::ConnectionService::Service {
 public:
  using Context = grpc::ServerContext;
  // Is told each request, and answers how the call ends.
  using Record = std::function<grpc::Status(Context*, const google::protobuf::Message&)>;

  explicit TestOauthServices(Record record) : record_(std::move(record)) {}

  void Answer(TestOauthAnswers answers) {
    absl::MutexLock lock(&mutex_);
    answers_ = std::move(answers);
  }

  grpc::Status CreateOauthProvider(Context* context, const v1::CreateOauthProviderRequest* request,
                                   v1::OauthProvider* response) override;
  grpc::Status GetOauthProvider(Context* context, const v1::GetOauthProviderRequest* request,
                                v1::OauthProvider* response) override;
  grpc::Status ListOauthProviders(Context* context, const v1::ListOauthProvidersRequest* request,
                                  v1::ListOauthProvidersResponse* response) override;
  grpc::Status UpdateOauthProvider(Context* context, const v1::UpdateOauthProviderRequest* request,
                                   v1::OauthProvider* response) override;
  grpc::Status DeleteOauthProvider(Context* context, const v1::DeleteOauthProviderRequest* request,
                                   v1::DeleteOauthProviderResponse* response) override;
  grpc::Status CheckOauthProvider(Context* context, const v1::CheckOauthProviderRequest* request,
                                  v1::CheckOauthProviderResponse* response) override;

  grpc::Status StartConnection(Context* context, const v1::StartConnectionRequest* request,
                               v1::StartConnectionResponse* response) override;
  grpc::Status GetConnectionAttempt(Context* context, const v1::GetConnectionAttemptRequest* request,
                                    v1::ConnectionAttempt* response) override;
  grpc::Status GetConnection(Context* context, const v1::GetConnectionRequest* request,
                             v1::Connection* response) override;
  grpc::Status ListConnections(Context* context, const v1::ListConnectionsRequest* request,
                               v1::ListConnectionsResponse* response) override;
  grpc::Status RefreshConnection(Context* context, const v1::RefreshConnectionRequest* request,
                                 v1::Connection* response) override;
  grpc::Status DeleteConnection(Context* context, const v1::DeleteConnectionRequest* request,
                                google::protobuf::Empty* response) override;

 private:
  const Record record_;
  absl::Mutex mutex_;
  TestOauthAnswers answers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_TEST_OAUTH_SERVICES_H_
