// kill -9 of a real keyferryd while clients create, rotate and delete over TLS and data keys rotate: whatever was
// acknowledged is there after the restart, and what resolves agrees with what is listed.

#include <atomic>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "gtest/gtest.h"
#include "keyferry/v1/credentials.grpc.pb.h"
#include "keyferry/v1/directory.grpc.pb.h"
#include "keyferry/v1/mcp_servers.grpc.pb.h"
#include "keyferry/v1/resolution.grpc.pb.h"
#include "tests/harness/dev_server.h"
#include "tests/kill/model.h"

namespace keyferry::testing {
namespace {

constexpr int kRounds = 20;
constexpr int kWorkers = 4;
constexpr int kNamesPerWorker = 3;
constexpr uint64_t kSeed = 20260118;
constexpr char kMcpServer[] = "orgs/dev/mcpServers/kill";

std::string Name(int worker, int index) { return absl::StrCat("NAME_", worker, "_", index); }
std::string Resource(const std::string& name) { return absl::StrCat("orgs/dev/credentials/", name); }

// The model, shared by the clients of one round.
class SharedModel {
 public:
  void Read(std::string line) {
    line.pop_back();
    const std::lock_guard<std::mutex> lock(mutex_);
    ASSERT_TRUE(model_.Read(line)) << line;
  }
  // Only while no client runs.
  Model& get() { return model_; }

 private:
  std::mutex mutex_;
  Model model_;
};

// One client with names of its own. Stops at the first call that fails, which is when the server was killed.
class Client {
 public:
  Client(const client::Connection& connection, SharedModel& model, int worker, uint64_t seed)
      : stub_(v1::CredentialService::NewStub(connection.channel())), model_(model), worker_(worker), random_(seed) {}

  // Starts from what was found after the last restart.
  void Run(std::map<std::string, MaybeState> states, std::atomic<int64_t>& calls) {
    while (true) {
      const std::string name = Name(worker_, static_cast<int>(random_() % kNamesPerWorker));
      MaybeState& state = states[name];
      Step step = {worker_, name, std::nullopt};
      const bool remove = state.has_value() && random_() % 4 == 0;
      if (!remove) step.after = CredentialState{state.has_value() ? state->version + 1 : 1, random_() >> 1};
      model_.Read(IntentLine(step));
      if (!Call(name, state, step.after)) return;
      model_.Read(AckLine(worker_));
      state = step.after;
      ++calls;
    }
  }

 private:
  bool Call(const std::string& name, const MaybeState& before, const MaybeState& after) {
    grpc::ClientContext context;
    v1::Credential answer;
    if (!after.has_value()) {
      v1::DeleteCredentialRequest request;
      request.set_name(Resource(name));
      google::protobuf::Empty empty;
      return Succeeded(stub_->DeleteCredential(&context, request, &empty));
    }
    if (!before.has_value()) {
      v1::CreateCredentialRequest request;
      request.set_parent("orgs/dev");
      request.set_credential_id(name);
      request.set_value(ValueText(name, *after));
      return Succeeded(stub_->CreateCredential(&context, request, &answer));
    }
    v1::RotateCredentialRequest request;
    request.set_name(Resource(name));
    request.set_value(ValueText(name, *after));
    return Succeeded(stub_->RotateCredential(&context, request, &answer));
  }

  static bool Succeeded(const grpc::Status& status) {
    if (status.ok()) return true;
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
    return false;
  }

  const std::unique_ptr<v1::CredentialService::Stub> stub_;
  SharedModel& model_;
  const int worker_;
  std::mt19937_64 random_;
};

class ServerKillTest : public ::testing::Test {
 protected:
  void Register() {
    v1::ApplyMcpServerRequest request;
    v1::McpServer& server = *request.mutable_mcp_server();
    server.set_name(kMcpServer);
    server.set_transport(v1::MCP_TRANSPORT_STDIO);
    server.set_command("true");
    for (int worker = 0; worker < kWorkers; ++worker) {
      for (int index = 0; index < kNamesPerWorker; ++index) {
        v1::EnvBinding& binding = *server.add_env();
        binding.set_variable(Name(worker, index));
        binding.set_org_secret(Name(worker, index));
        binding.set_optional(true);
      }
    }
    grpc::ClientContext context;
    v1::ApplyMcpServerResponse response;
    const auto stub = v1::McpServerService::NewStub(server_->Connect()->channel());
    const grpc::Status status = stub->ApplyMcpServer(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }

  void WriteAndKill(uint64_t seed) {
    std::vector<std::unique_ptr<client::Connection>> connections;
    std::vector<std::thread> threads;
    std::atomic<int64_t> calls = 0;
    for (int worker = 0; worker < kWorkers; ++worker) {
      connections.push_back(server_->Connect());
      threads.emplace_back([&, worker, states = states_, connection = connections.back().get()] {
        Client(*connection, model_, worker, seed + worker).Run(states, calls);
      });
    }
    connections.push_back(server_->Connect());
    threads.emplace_back([connection = connections.back().get()] { RotateDataKeys(*connection); });
    // The moment is random in the number of writes, not in time, so that slow machines write before the kill as well.
    const int64_t enough = 1 + static_cast<int64_t>(random_() % 60);
    while (calls < enough) std::this_thread::yield();
    server_->Kill();
    for (std::thread& thread : threads) thread.join();
  }

  static void RotateDataKeys(const client::Connection& connection) {
    const auto stub = v1::DirectoryService::NewStub(connection.channel());
    while (true) {
      grpc::ClientContext context;
      v1::RotateOrgDataKeyRequest request;
      request.set_name("orgs/dev");
      v1::OrgEncryption answer;
      if (stub->RotateOrgDataKey(&context, request, &answer).error_code() == grpc::StatusCode::UNAVAILABLE) return;
      absl::SleepFor(absl::Milliseconds(10));
    }
  }

  // Reads everything back through the API, once as values and once as metadata.
  void Check() {
    const std::unique_ptr<client::Connection> connection = server_->Connect();
    std::map<std::string, v1::ResolvedVariable> resolved;
    ASSERT_NO_FATAL_FAILURE(Resolve(*connection, &resolved));
    const auto stub = v1::CredentialService::NewStub(connection->channel());
    for (int worker = 0; worker < kWorkers; ++worker) {
      for (int index = 0; index < kNamesPerWorker; ++index) {
        const std::string name = Name(worker, index);
        grpc::ClientContext context;
        v1::GetCredentialRequest request;
        request.set_name(Resource(name));
        v1::Credential credential;
        const grpc::Status status = stub->GetCredential(&context, request, &credential);
        ASSERT_TRUE(status.ok() || status.error_code() == grpc::StatusCode::NOT_FOUND) << status.error_message();
        ASSERT_EQ(status.ok(), resolved.count(name) == 1) << name << " is there by half";
        MaybeState found;
        if (status.ok()) {
          ASSERT_NO_FATAL_FAILURE(Match(name, credential, resolved[name], &found));
        }
        ASSERT_TRUE(model_.get().Allows(name, found)) << model_.get().Describe(name);
        model_.get().Settle(name, found);
        states_[name] = found;
      }
    }
    model_.get().EndRound();
  }

  void Resolve(const client::Connection& connection, std::map<std::string, v1::ResolvedVariable>* resolved) {
    grpc::ClientContext context;
    v1::ResolveRequest request;
    request.set_mcp_server(kMcpServer);
    v1::ResolveResponse response;
    const auto stub = v1::ResolutionService::NewStub(connection.channel());
    const grpc::Status status = stub->Resolve(&context, request, &response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    for (const v1::ResolvedVariable& variable : response.variables()) (*resolved)[variable.variable()] = variable;
  }

  // The value must be the one that belongs to the version that the metadata names.
  static void Match(const std::string& name, const v1::Credential& credential, const v1::ResolvedVariable& variable,
                    MaybeState* found) {
    ASSERT_EQ(variable.version(), credential.version()) << name;
    const std::string prefix = absl::StrCat(name, ":", credential.version(), ":");
    ASSERT_EQ(variable.value().substr(0, prefix.size()), prefix);
    *found = CredentialState{credential.version(), strtoull(variable.value().c_str() + prefix.size(), nullptr, 10)};
    ASSERT_EQ(variable.value(), ValueText(name, **found));
  }

  const std::string data_dir_ = MakeTestDirectory("server-kill") + "/data";
  std::mt19937_64 random_{kSeed};
  std::unique_ptr<DevServer> server_;
  SharedModel model_;
  std::map<std::string, MaybeState> states_;
};

TEST_F(ServerKillTest, EveryAcknowledgedCallSurvives) {
  std::cout << "seed " << kSeed << ", " << kRounds << " rounds" << std::endl;
  server_ = DevServer::Start(data_dir_);
  ASSERT_NO_FATAL_FAILURE(Register());
  for (int round = 0; round < kRounds; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    WriteAndKill(kSeed + round * 1000);
    server_ = DevServer::Start(data_dir_);
    ASSERT_NO_FATAL_FAILURE(Check());
  }
  EXPECT_EQ(server_->Stop(), 0);
  std::cout << model_.get().acknowledged_steps() << " acknowledged calls" << std::endl;
}

}  // namespace
}  // namespace keyferry::testing
