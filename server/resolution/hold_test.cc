// Calls that wait for a fresh access token, over gRPC.
#include <chrono>
#include <memory>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "keyferry/v1/resolution.grpc.pb.h"
#include "server/errors.h"
#include "server/oauth/testing_refresher.h"
#include "server/resolution/service.h"
#include "server/resolution/testing_connections.h"
#include "server/rpc/rpc_status.pb.h"
#include "server/sessions/testing_sessions.h"
#include "storage/journal.h"

namespace keyferry::server {
namespace {

constexpr char kServer[] = "orgs/acme/mcpServers/github";

Dispatcher::Limits Quick() {
  Dispatcher::Limits limits;
  limits.held_calls.look = absl::Milliseconds(5);
  return limits;
}

class HoldTest : public testing::Test {
 protected:
  // `github` takes TOKEN from google; ada is connected, and her token has ended.
  explicit HoldTest(const Dispatcher::Limits& limits = Quick())
      : dispatcher_(&sessions_.directory.authenticator, &call_limits_, &sessions_.audit, &executor_, logger_.get(),
                    limits, sessions_.directory.context.clock),
        service_(MakeResolutionService(&dispatcher_, &sessions_.resolver, /*watches=*/nullptr, &refresher_)) {
    v1::ApplyMcpServerRequest request;
    request.mutable_mcp_server()->set_name(kServer);
    request.mutable_mcp_server()->set_transport(v1::MCP_TRANSPORT_HTTP);
    request.mutable_mcp_server()->add_env()->set_variable("TOKEN");
    request.mutable_mcp_server()->mutable_env(0)->set_oauth("google");
    EXPECT_TRUE(sessions_.servers.ApplyMcpServer(sessions_.directory.Root(), request).ok());
    PutProvider(sessions_.directory.store.get(), "google");
    Connect(1, -absl::Seconds(1));
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    channel_ = grpc::CreateChannel(absl::StrCat("127.0.0.1:", port), grpc::InsecureChannelCredentials());
    bearer_ = sessions_.directory.Login("orgs/acme/users/ada");
  }
  ~HoldTest() override {
    refresher_.Answer(absl::OkStatus());
    dispatcher_.Drain();
    server_->Shutdown(std::chrono::system_clock::now());
  }

  void Connect(int64_t version, absl::Duration left, bool connect_needed = false) {
    TestConnection connection;
    connection.parent = "users/ada";
    connection.token = absl::StrCat("access-token-", version);
    connection.version = version;
    connection.expire_time = sessions_.directory.now + left;
    connection.connect_needed = connect_needed;
    connection.create_time = sessions_.directory.now;
    connection.user_create_time = absl::ToUnixNanos(sessions_.directory.now);
    PutConnection(sessions_.directory.store.get(), connection);
  }

  // One call on a thread of its own.
  struct Call {
    std::thread thread;
    grpc::ClientContext context;
    v1::ResolveRequest request;
    v1::ResolveResponse response;
    grpc::Status status;
    absl::Notification done;
    ~Call() { thread.join(); }

    // The value, or the reason of the refusal.
    std::string Answer() {
      done.WaitForNotification();
      if (status.ok()) return response.variables(0).value();
      rpc::RpcStatus wire;
      v1::ErrorDetail detail;
      if (!wire.ParseFromString(status.error_details()) || wire.details_size() != 1) return status.error_message();
      wire.details(0).UnpackTo(&detail);
      EXPECT_FALSE(absl::StrContains(detail.DebugString(), "token-"));
      return detail.reason();
    }
  };
  std::unique_ptr<Call> Begin(const std::string& bearer, const std::string& session = "") {
    auto call = std::make_unique<Call>();
    call->context.AddMetadata("authorization", bearer);
    call->request.set_mcp_server(kServer);
    call->request.set_session_token(session);
    call->thread = std::thread([this, c = call.get()] {
      c->status = v1::ResolutionService::NewStub(channel_)->Resolve(&c->context, c->request, &c->response);
      c->done.Notify();
    });
    return call;
  }
  // The same, until it is held.
  std::unique_ptr<Call> Held(const std::string& session = "", const std::string& bearer = "") {
    const int before = refresher_.asked();
    auto call = Begin(bearer.empty() ? bearer_ : bearer, session);
    refresher_.AwaitAsked(before + 1);
    EXPECT_FALSE(call->done.HasBeenNotified());
    return call;
  }
  int Entries() {
    int entries = 0;
    const auto damage =
        storage::VerifyJournal(*sessions_.directory.store->View(), "acme", [&](const storage::JournalEntry& stored) {
          v1::AuditEntry entry;
          ASSERT_TRUE(entry.ParseFromString(stored.payload));
          EXPECT_FALSE(absl::StrContains(entry.DebugString(), "token-"));
          if (entry.method() == "ResolutionService/Resolve") ++entries;
        });
    EXPECT_TRUE(damage.ok() && !damage->has_value());
    return entries;
  }

  TestSessions sessions_;
  FakeRefresher refresher_;
  std::unique_ptr<Logger> logger_ = MakeSilentLogger();
  CallLimits call_limits_{CallRates()};
  Executor executor_{Executor::Options()};
  Dispatcher dispatcher_;
  std::unique_ptr<grpc::Service> service_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::string bearer_;
};

TEST_F(HoldTest, GetsTheFreshTokenOnceItIsThere) {
  auto call = Held();
  auto other = Held();
  EXPECT_EQ(refresher_.Waiting()[0], (ConnectionKey{"acme", "users/ada", "google"}));
  EXPECT_EQ(Entries(), 0) << "nothing was given out yet";
  Connect(2, absl::Hours(1));
  refresher_.Answer(absl::OkStatus());
  EXPECT_EQ(call->Answer(), "access-token-2");
  EXPECT_EQ(call->response.variables(0).version(), 2);
  EXPECT_EQ(other->Answer(), "access-token-2");
  EXPECT_EQ(Entries(), 2) << "one for each call";
  EXPECT_EQ(Begin(bearer_)->Answer(), "access-token-2");
  EXPECT_EQ(refresher_.asked(), 2) << "a valid token asks for nothing";
}

TEST_F(HoldTest, AWorkloadInASessionGetsTheUsersAndWithoutOneNobodys) {
  const std::string runner = sessions_.directory.Login("orgs/acme/workloads/runner");
  EXPECT_EQ(Begin(runner)->Answer(), "MISSING_VARIABLES");
  EXPECT_EQ(refresher_.asked(), 0);
  const v1::CreateSessionResponse made = sessions_.Made();
  auto call = Held(made.token(), runner);
  Connect(2, absl::Hours(1));
  refresher_.Answer(absl::OkStatus());
  EXPECT_EQ(call->Answer(), "access-token-2");
}

TEST_F(HoldTest, SaysWhyThereIsNone) {
  auto call = Held();
  refresher_.Answer(absl::UnavailableError("the provider did not answer"));
  EXPECT_EQ(call->Answer(), "PROVIDER_UNAVAILABLE");
  EXPECT_EQ(call->status.error_code(), grpc::StatusCode::UNAVAILABLE);
  call = Held();
  Connect(1, -absl::Seconds(1), /*connect_needed=*/true);
  refresher_.Answer(absl::FailedPreconditionError("connect again"));
  EXPECT_EQ(call->Answer(), "MISSING_VARIABLES");
  EXPECT_EQ(call->status.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(Begin(bearer_)->Answer(), "MISSING_VARIABLES") << "at once";
}

TEST_F(HoldTest, WhoMayNoLongerAskGetsNothing) {
  auto call = Held();
  v1::DeleteUserRequest request;
  request.set_name("orgs/acme/users/ada");
  ASSERT_TRUE(sessions_.directory.users.DeleteUser(sessions_.directory.Root(), request).ok());
  Connect(2, absl::Hours(1));
  refresher_.Answer(absl::OkStatus());
  EXPECT_EQ(call->Answer(), "TOKEN_UNKNOWN");
}

TEST_F(HoldTest, WhoeverIsAskedForAgainIsUnderTheSameLimits) {
  ExternalIdentity ada;
  ada.issuer = "cluster";
  ada.subject = "sub-ada";
  PersonClaims claims;
  claims.org = "acme";
  claims.user = "ada";
  claims.may_bind = true;
  claims.issue_time = sessions_.directory.now;
  ada.person = std::make_shared<const PersonClaims>(claims);
  FakeExternalIdentities& external = sessions_.directory.external;
  external.Add("aa.bb.cc", ada);
  auto call = Held(/*session=*/"", "Bearer aa.bb.cc");
  const int before = external.limited_questions;
  Connect(2, absl::Hours(1));
  refresher_.Answer(absl::OkStatus());
  EXPECT_EQ(call->Answer(), "access-token-2");
  EXPECT_GT(external.limited_questions, before);
  EXPECT_EQ(external.unlimited_questions, 0);
}

TEST_F(HoldTest, ACallerWhoHasGoneIsForgotten) {
  auto call = Held();
  call->context.TryCancel();
  call->done.WaitForNotification();
  EXPECT_EQ(call->status.error_code(), grpc::StatusCode::CANCELLED);
  // The server ends only when every call has; nobody answers the refresh.
  server_->Shutdown();
  server_->Wait();
  EXPECT_EQ(Entries(), 1);
}

TEST_F(HoldTest, ADrainAnswersWhoIsHeld) {
  auto call = Held();
  dispatcher_.Drain();
  EXPECT_EQ(call->Answer(), "SERVER_DRAINING");
  EXPECT_EQ(Begin(bearer_)->Answer(), "SERVER_DRAINING") << "and nobody is held from now on";
}

Dispatcher::Limits Impatient() {
  Dispatcher::Limits limits = Quick();
  limits.held_calls.longest = absl::Milliseconds(1);
  return limits;
}
class ImpatientHoldTest : public HoldTest {
 protected:
  ImpatientHoldTest() : HoldTest(Impatient()) {}
};

TEST_F(ImpatientHoldTest, DoesNotWaitForEver) {
  EXPECT_EQ(Begin(bearer_)->Answer(), "PROVIDER_UNAVAILABLE");
  EXPECT_EQ(refresher_.asked(), 1);
}

Dispatcher::Limits One() {
  Dispatcher::Limits limits = Quick();
  limits.held_calls.total = 1;
  return limits;
}
class FullHoldTest : public HoldTest {
 protected:
  FullHoldTest() : HoldTest(One()) {}
};

TEST_F(FullHoldTest, RefusesWhatItCannotHold) {
  auto call = Held();
  EXPECT_EQ(Begin(bearer_)->Answer(), "SERVER_BUSY");
  Connect(2, absl::Hours(1));
  refresher_.Answer(absl::OkStatus());
  EXPECT_EQ(call->Answer(), "access-token-2");
}

}  // namespace
}  // namespace keyferry::server
