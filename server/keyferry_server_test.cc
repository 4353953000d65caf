#include "server/keyferry_server.h"

#include <dirent.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "keyferry/v1/credentials.grpc.pb.h"
#include "keyferry/v1/directory.grpc.pb.h"
#include "keyferry/v1/errors.pb.h"
#include "keyferry/v1/mcp_servers.grpc.pb.h"
#include "keyferry/v1/resolution.grpc.pb.h"
#include "keyferry/v1/tokens.grpc.pb.h"
#include "server/dev/certificates.h"
#include "server/directory/bootstrap.h"
#include "server/files.h"
#include "server/rpc/rpc_status.pb.h"
#include "storage/crypto/key_provider.h"
#include "storage/open.h"
#include "storage/testing_store.h"

namespace keyferry::server {
namespace {

// A server over real TLS on a free loopback port, with the org `acme` and its ADMIN `root`.
class KeyferryServerTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = storage::MakeTestDirectory();
    ASSERT_TRUE(storage::CreateKekFile(directory_ + "/kek").ok());
    ASSERT_TRUE(EnsureDevCertificates(directory_, absl::Now()).ok());
    const auto key_provider = storage::LoadFileKeyProvider(directory_ + "/kek");
    storage::OpenOptions open;
    open.data_dir = directory_ + "/store";
    open.create = true;
    open.memory_budget = size_t{16} << 20;
    auto store = storage::OpenStore(open, **key_provider);
    ASSERT_TRUE(store.ok()) << store.status();
    absl::Mutex changes;
    const DirectoryContext context{store->get(), absl::Now, nullptr, &changes};
    ASSERT_TRUE(EnsureOrgWithAdmin(context, "acme", v1::TIER_BUSINESS, "root").ok());
    const auto issued = IssueTokenForUser(context, "acme", "root", "", absl::Hours(1));
    ASSERT_TRUE(issued.ok()) << issued.status();
    bearer_ = absl::StrCat("Bearer ", issued->text.Expose());
    KeyferryServerOptions options;
    options.grpc.listen = "127.0.0.1:0";
    options.grpc.cert_file = directory_ + "/server.pem";
    options.grpc.key_file = directory_ + "/server.key";
    auto server = KeyferryServer::Start(std::move(*store), options, absl::Now, logger_.get());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = std::move(*server);
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = std::string(ReadSmallFile(directory_ + "/ca.pem")->Expose());
    channel_ = grpc::CreateChannel(server_->address(), grpc::SslCredentials(tls));
  }

  std::unique_ptr<grpc::ClientContext> Context(bool with_token = true) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
    if (with_token) context->AddMetadata("authorization", bearer_);
    return context;
  }

  // Calls any method with the given request bytes.
  grpc::Status Call(const std::string& method, const std::string& request, grpc::ClientContext* context) {
    grpc::GenericStub stub(channel_);
    grpc::CompletionQueue queue;
    const grpc::Slice slice(request);
    grpc::ByteBuffer bytes(&slice, 1);
    grpc::ByteBuffer answer;
    grpc::Status status;
    auto call = stub.PrepareUnaryCall(context, method, bytes, &queue);
    call->StartCall();
    call->Finish(&answer, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return status;
  }

  std::string directory_;
  std::string bearer_;
  std::unique_ptr<Logger> logger_ = MakeSilentLogger();
  std::unique_ptr<KeyferryServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

v1::ErrorDetail DetailOf(const grpc::Status& status) {
  rpc::RpcStatus wire;
  v1::ErrorDetail detail;
  EXPECT_TRUE(wire.ParseFromString(status.error_details()));
  EXPECT_EQ(wire.code(), status.error_code());
  EXPECT_EQ(wire.message(), status.error_message());
  EXPECT_EQ(wire.details_size(), 1);
  if (wire.details_size() == 1) {
    EXPECT_TRUE(wire.details(0).UnpackTo(&detail));
  }
  return detail;
}

// "/keyferry.v1.SERVICE/METHOD" for every method of every file of the API.
std::vector<std::string> AllMethods() {
  std::vector<std::string> methods;
  DIR* files = opendir("proto/keyferry/v1");
  if (files == nullptr) return methods;
  while (const dirent* entry = readdir(files)) {
    if (!absl::EndsWith(entry->d_name, ".proto")) continue;
    const auto* file =
        google::protobuf::DescriptorPool::generated_pool()->FindFileByName(absl::StrCat("keyferry/v1/", entry->d_name));
    EXPECT_NE(file, nullptr) << entry->d_name;
    for (int s = 0; file != nullptr && s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        methods.push_back(absl::StrCat("/", file->service(s)->full_name(), "/", file->service(s)->method(m)->name()));
      }
    }
  }
  closedir(files);
  return methods;
}

TEST_F(KeyferryServerTest, EveryMethodAsksWhoIsCalling) {
  const std::vector<std::string> methods = AllMethods();
  ASSERT_GE(methods.size(), 42u);
  for (const std::string& method : methods) {
    SCOPED_TRACE(method);
    const auto context = Context(/*with_token=*/false);
    const grpc::Status status = Call(method, "", context.get());
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAUTHENTICATED) << status.error_message();
    EXPECT_EQ(DetailOf(status).reason(), "TOKEN_MISSING");
  }
}

TEST_F(KeyferryServerTest, EveryMethodRefusesAnEmptyRequestWithADetail) {
  for (const std::string& method : AllMethods()) {
    SCOPED_TRACE(method);
    if (absl::EndsWith(method, "/GetCaller")) continue;
    const auto context = Context();
    const grpc::Status status = Call(method, "", context.get());
    EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT) << status.error_message();
    EXPECT_EQ(DetailOf(status).reason(), "INVALID_FIELD");
    EXPECT_FALSE(DetailOf(status).field().empty());
    EXPECT_FALSE(DetailOf(status).next_step().empty());
  }
}

// A request of the method that names things of the org `rival`, as far as field names tell how.
std::string RequestForRival(const std::string& method) {
  const std::string full_name = absl::StrReplaceAll(method.substr(1), {{"/", "."}});
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  const auto* input = pool->FindMethodByName(full_name)->input_type();
  std::unique_ptr<google::protobuf::Message> request(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(input)->New());
  const auto set = [](google::protobuf::Message* message, const char* field_name, const std::string& text) {
    const auto* field = message->GetDescriptor()->FindFieldByName(field_name);
    if (field == nullptr || field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_STRING) return;
    message->GetReflection()->SetString(message, field, text);
  };
  set(request.get(), "parent", absl::StrContains(method, "Token") ? "orgs/rival/users/eve" : "orgs/rival");
  set(request.get(), "name", "orgs/rival");
  set(request.get(), "mcp_server", "orgs/rival/mcpServers/github");
  for (const char* id : {"user_id", "team_id", "service_id", "workload_id", "credential_id"})
    set(request.get(), id, "x");
  const auto* first = input->field_count() == 0 ? nullptr : input->field(0);
  if (first != nullptr && first->message_type() != nullptr) {
    set(request->GetReflection()->MutableMessage(request.get(), first), "name", "orgs/rival");
  }
  return request->SerializeAsString();
}

TEST_F(KeyferryServerTest, NothingOfAnotherOrgIsShown) {
  int hidden = 0;
  for (const std::string& method : AllMethods()) {
    SCOPED_TRACE(method);
    if (absl::EndsWith(method, "/GetCaller")) continue;
    const grpc::Status status = Call(method, RequestForRival(method), Context().get());
    EXPECT_TRUE(status.error_code() == grpc::StatusCode::NOT_FOUND ||
                status.error_code() == grpc::StatusCode::INVALID_ARGUMENT)
        << status.error_code() << ": " << status.error_message();
    if (status.error_code() == grpc::StatusCode::NOT_FOUND) ++hidden;
  }
  EXPECT_GE(hidden, 15);
}

TEST_F(KeyferryServerTest, StoresBindsAndResolves) {
  auto credentials = v1::CredentialService::NewStub(channel_);
  v1::CreateCredentialRequest create;
  create.set_parent("orgs/acme");
  create.set_credential_id("GITHUB_TOKEN");
  create.set_value("marker-value");
  v1::Credential credential;
  grpc::Status status = credentials->CreateCredential(Context().get(), create, &credential);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(credential.ShortDebugString().find("marker"), std::string::npos);
  v1::ApplyMcpServerRequest apply;
  apply.mutable_mcp_server()->set_name("orgs/acme/mcpServers/github");
  apply.mutable_mcp_server()->set_transport(v1::MCP_TRANSPORT_STDIO);
  apply.mutable_mcp_server()->set_command("npx");
  auto* binding = apply.mutable_mcp_server()->add_env();
  binding->set_variable("GITHUB_TOKEN");
  binding->set_org_secret("GITHUB_TOKEN");
  v1::ApplyMcpServerResponse applied;
  status = v1::McpServerService::NewStub(channel_)->ApplyMcpServer(Context().get(), apply, &applied);
  ASSERT_TRUE(status.ok()) << status.error_message();
  v1::ResolveRequest resolve;
  resolve.set_mcp_server("orgs/acme/mcpServers/github");
  v1::ResolveResponse resolved;
  status = v1::ResolutionService::NewStub(channel_)->Resolve(Context().get(), resolve, &resolved);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(resolved.variables_size(), 1);
  EXPECT_EQ(resolved.variables(0).value(), "marker-value");
}

TEST_F(KeyferryServerTest, LimitsTheRequest) {
  v1::CreateUserRequest request;
  request.set_parent("orgs/acme");
  request.mutable_user()->set_display_name(std::string(300 << 10, 'x'));
  const grpc::Status large =
      Call("/keyferry.v1.DirectoryService/CreateUser", request.SerializeAsString(), Context().get());
  EXPECT_EQ(large.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(DetailOf(large).field(), "request");
  request.mutable_user()->set_display_name(std::string(5 << 20, 'x'));
  EXPECT_EQ(Call("/keyferry.v1.DirectoryService/CreateUser", request.SerializeAsString(), Context().get()).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(KeyferryServerTest, TwoAuthorizationsAreNone) {
  const auto context = Context();
  context->AddMetadata("authorization", "Bearer other");
  EXPECT_EQ(Call("/keyferry.v1.TokenService/GetCaller", "", context.get()).error_code(),
            grpc::StatusCode::UNAUTHENTICATED);
}

TEST_F(KeyferryServerTest, PlaintextIsRefused) {
  const auto plain = grpc::CreateChannel(server_->address(), grpc::InsecureChannelCredentials());
  v1::Caller caller;
  const auto context = Context();
  EXPECT_EQ(v1::TokenService::NewStub(plain)->GetCaller(context.get(), {}, &caller).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_F(KeyferryServerTest, HealthNeedsNoTokenAndEndsWithTheDrain) {
  EXPECT_TRUE(Call("/grpc.health.v1.Health/Check", "", Context(/*with_token=*/false).get()).ok());
  server_->Drain(absl::Seconds(1));
  EXPECT_EQ(Call("/grpc.health.v1.Health/Check", "", Context(/*with_token=*/false).get()).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_F(KeyferryServerTest, ASecondServerOnThePortIsRefused) {
  GrpcServerOptions options;
  options.listen = server_->address();
  options.cert_file = directory_ + "/server.pem";
  options.key_file = directory_ + "/server.key";
  EXPECT_EQ(GrpcServer::Start(options, {}).status().code(), absl::StatusCode::kUnavailable);
  options.cert_file = directory_ + "/none.pem";
  EXPECT_EQ(GrpcServer::Start(options, {}).status().code(), absl::StatusCode::kInvalidArgument);
  options.cert_file = directory_ + "/ca.pem";
  EXPECT_EQ(GrpcServer::Start(options, {}).status().code(), absl::StatusCode::kInvalidArgument) << "another's key";
}

}  // namespace
}  // namespace keyferry::server
