// kill -9 of a real keyferryd while a client makes, changes and deletes an OAuth provider, and connections to it: what
// was acknowledged is there after the restart, what was deleted is gone whole, and a connection that is there works.

#include <atomic>
#include <iostream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "keyferry/v1/connections.grpc.pb.h"
#include "keyferry/v1/mcp_servers.grpc.pb.h"
#include "keyferry/v1/oauth_providers.grpc.pb.h"
#include "keyferry/v1/resolution.grpc.pb.h"
#include "server/oauth/protocol/mock_provider_server.h"
#include "tests/harness/dev_server.h"

namespace keyferry::testing {
namespace {

constexpr int kRounds = 12;
constexpr uint64_t kSeed = 20260127;
constexpr char kProvider[] = "orgs/dev/oauthProviders/robot";
constexpr char kConnection[] = "orgs/dev/connections/robot";
constexpr char kMcpServer[] = "orgs/dev/mcpServers/kill";

// What there is; 0 for no provider, else the number in its display name.
struct State {
  int provider = 0;
  bool connected = false;

  bool operator==(const State& other) const { return provider == other.provider && connected == other.connected; }
};

std::ostream& operator<<(std::ostream& out, const State& state) {
  return out << "provider " << state.provider << (state.connected ? ", connected" : "");
}

class Client {
 public:
  explicit Client(const client::Connection& connection)
      : providers_(v1::OauthProviderService::NewStub(connection.channel())),
        connections_(v1::ConnectionService::NewStub(connection.channel())) {}

  grpc::Status Create(const v1::OauthProvider& definition) {
    v1::CreateOauthProviderRequest request;
    request.set_parent("orgs/dev");
    request.set_oauth_provider_id("robot");
    *request.mutable_oauth_provider() = definition;
    grpc::ClientContext context;
    v1::OauthProvider answer;
    return providers_->CreateOauthProvider(&context, request, &answer);
  }

  grpc::Status Update(int number) {
    v1::UpdateOauthProviderRequest request;
    request.mutable_oauth_provider()->set_name(kProvider);
    request.mutable_oauth_provider()->set_display_name(absl::StrCat(number));
    request.mutable_update_mask()->add_paths("display_name");
    grpc::ClientContext context;
    v1::OauthProvider answer;
    return providers_->UpdateOauthProvider(&context, request, &answer);
  }

  grpc::Status Delete() {
    v1::DeleteOauthProviderRequest request;
    request.set_name(kProvider);
    grpc::ClientContext context;
    v1::DeleteOauthProviderResponse answer;
    return providers_->DeleteOauthProvider(&context, request, &answer);
  }

  grpc::Status Connect() {
    v1::StartConnectionRequest request;
    request.set_parent("orgs/dev");
    request.set_oauth_provider_id("robot");
    grpc::ClientContext context;
    v1::StartConnectionResponse answer;
    return connections_->StartConnection(&context, request, &answer);
  }

  grpc::Status Disconnect() {
    v1::DeleteConnectionRequest request;
    request.set_name(kConnection);
    grpc::ClientContext context;
    google::protobuf::Empty answer;
    return connections_->DeleteConnection(&context, request, &answer);
  }

  void Find(State* state) {
    grpc::ClientContext context;
    v1::GetOauthProviderRequest request;
    request.set_name(kProvider);
    v1::OauthProvider provider;
    const grpc::Status status = providers_->GetOauthProvider(&context, request, &provider);
    ASSERT_TRUE(status.ok() || status.error_code() == grpc::StatusCode::NOT_FOUND) << status.error_message();
    state->provider = status.ok() ? atoi(provider.display_name().c_str()) : 0;
    grpc::ClientContext again;
    v1::ListConnectionsRequest list;
    list.set_parent("orgs/dev");
    v1::ListConnectionsResponse listed;
    const grpc::Status read = connections_->ListConnections(&again, list, &listed);
    ASSERT_TRUE(read.ok()) << read.error_message();
    state->connected = listed.connections_size() == 1;
    if (state->connected) {
      EXPECT_EQ(listed.connections(0).name(), kConnection);
      EXPECT_EQ(listed.connections(0).state(), v1::CONNECTION_STATE_CONNECTED);
    }
  }

 private:
  const std::unique_ptr<v1::OauthProviderService::Stub> providers_;
  const std::unique_ptr<v1::ConnectionService::Stub> connections_;
};

class OauthKillTest : public ::testing::Test {
 protected:
  void Start() {
    server_ = DevServer::Start(
        data_dir_, "127.0.0.1:0",
        {"--outbound-ca-file", ca_.WriteFile("provider_ca.pem"), "--outbound-allowed-addresses", "127.0.0.0/8"});
  }

  void Register() {
    v1::ApplyMcpServerRequest request;
    v1::McpServer& server = *request.mutable_mcp_server();
    server.set_name(kMcpServer);
    server.set_transport(v1::MCP_TRANSPORT_STDIO);
    server.set_command("true");
    v1::EnvBinding& binding = *server.add_env();
    binding.set_variable("TOKEN");
    binding.set_oauth("robot");
    binding.set_optional(true);
    grpc::ClientContext context;
    v1::ApplyMcpServerResponse response;
    const auto stub = v1::McpServerService::NewStub(server_->Connect()->channel());
    const grpc::Status status = stub->ApplyMcpServer(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  grpc::Status Try(Client* client, const State& before, const State& after) {
    if (before.provider == 0) {
      v1::OauthProvider definition = provider_.Definition();
      definition.set_grant_type(v1::OAUTH_GRANT_TYPE_CLIENT_CREDENTIALS);
      definition.set_display_name(absl::StrCat(after.provider));
      return client->Create(definition);
    }
    if (after.provider == 0) return client->Delete();
    if (after.connected != before.connected) return after.connected ? client->Connect() : client->Disconnect();
    return client->Update(after.provider);
  }

  State Next(const State& state) {
    if (state.provider == 0) return {++number_, false};
    switch (random_() % 5) {
      case 0:
        return {0, false};
      case 1:
        return {++number_, state.connected};
      default:
        return {state.provider, !state.connected};
    }
  }

  // One client's calls until the server is killed under them.
  void WriteAndKill() {
    const std::unique_ptr<client::Connection> connection = server_->Connect();
    std::atomic<int64_t> calls = 0;
    std::thread thread([&] {
      Client client(*connection);
      while (true) {
        under_way_ = Next(acknowledged_);
        const grpc::Status status = Try(&client, acknowledged_, under_way_);
        if (!status.ok()) {
          EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
          return;
        }
        acknowledged_ = under_way_;
        ++calls;
      }
    });
    // Random in the number of calls, not in time, so that slow machines write before the kill as well.
    const int64_t enough = 1 + static_cast<int64_t>(random_of_kills_() % 25);
    while (calls < enough && !::testing::Test::HasFailure()) std::this_thread::yield();
    server_->Kill();
    thread.join();
    all_calls_ += calls;
  }

  void Check() {
    const std::unique_ptr<client::Connection> connection = server_->Connect();
    State found;
    ASSERT_NO_FATAL_FAILURE(Client(*connection).Find(&found));
    ASSERT_TRUE(found == acknowledged_ || found == under_way_)
        << "found " << found << ", where " << acknowledged_ << " was acknowledged and " << under_way_ << " was tried";
    acknowledged_ = found;
    if (found.connected) ++checked_tokens_;
    ASSERT_NO_FATAL_FAILURE(ResolveAs(*connection, found.connected));
  }

  void ResolveAs(const client::Connection& connection, bool connected) {
    v1::ResolveRequest request;
    request.set_mcp_server(kMcpServer);
    v1::ResolveResponse response;
    grpc::ClientContext context;
    const auto stub = v1::ResolutionService::NewStub(connection.channel());
    const grpc::Status status = stub->Resolve(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    ASSERT_EQ(response.variables_size(), connected ? 1 : 0);
    if (!connected) return;
    EXPECT_TRUE(provider_->IsActive(response.variables(0).value())) << "a token that nobody granted";
  }

  const std::string data_dir_ = MakeTestDirectory("oauth-kill") + "/data";
  const server::TestCa ca_;
  server::MockProviderServer provider_{ca_};
  std::mt19937_64 random_{kSeed};
  std::mt19937_64 random_of_kills_{kSeed + 1};
  std::unique_ptr<DevServer> server_;
  State acknowledged_;
  State under_way_;
  int number_ = 0;
  int64_t all_calls_ = 0;
  int checked_tokens_ = 0;
};

TEST_F(OauthKillTest, EveryAcknowledgedCallSurvives) {
  std::cout << "seed " << kSeed << ", " << kRounds << " rounds" << std::endl;
  Start();
  ASSERT_NO_FATAL_FAILURE(Register());
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    ASSERT_NO_FATAL_FAILURE(WriteAndKill());
    Start();
    ASSERT_NO_FATAL_FAILURE(Check());
  }
  EXPECT_EQ(server_->Stop(), 0);
  EXPECT_GT(checked_tokens_, 0) << "no round ended with a connection";
  std::cout << all_calls_ << " acknowledged calls, " << checked_tokens_ << " connections after a kill" << std::endl;
}

}  // namespace
}  // namespace keyferry::testing
