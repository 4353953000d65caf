// Who is calling: every method refuses every caller whose token is not good, and TLS is not optional.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "gtest/gtest.h"
#include "keyferry/v1/directory.pb.h"
#include "server/dev/certificates.h"
#include "storage/testing_store.h"
#include "tests/integration/bad_requests.h"
#include "tests/integration/world.h"

namespace keyferry::testing {
namespace {

using Authorizations = std::vector<std::string>;

// Sends every method's good request and expects UNAUTHENTICATED with the reason.
void ExpectUnauthenticated(World* world, const std::string& label, const Authorizations& authorizations,
                           const std::string& reason) {
  for (const MethodEntry& entry : AllEntries()) {
    SCOPED_TRACE(absl::StrCat(label, ": ", entry.method));
    const std::string bytes = MakeRequest(entry.method, world->Fill(entry.good))->SerializeAsString();
    const grpc::Status status = world->CallBytes(authorizations, entry.method, bytes);
    EXPECT_EQ(status.error_code(), grpc::UNAUTHENTICATED) << status.error_message();
    EXPECT_EQ(DetailOf(status).reason(), reason);
    EXPECT_EQ(world->WhatIsWrong(status), "");
    for (const std::string& sent : authorizations) {
      if (sent.size() < 8) continue;
      EXPECT_FALSE(absl::StrContains(status.error_message() + status.error_details(), sent.substr(7)));
    }
  }
}

// The text with one character of a token changed to another that tokens may hold.
std::string WithTypo(std::string text, size_t at) {
  text[at] = text[at] == 'a' ? 'b' : 'a';
  return text;
}

TEST(AuthenticationTest, TokensThatAreNone) {
  World world;
  const Digest before = world.TakeDigest();
  const std::string good = world.Bearer(Who::kAdmin);
  const std::string token = good.substr(7);
  ExpectUnauthenticated(&world, "no token", {}, "TOKEN_MISSING");
  ExpectUnauthenticated(&world, "empty", {""}, "TOKEN_MISSING");
  ExpectUnauthenticated(&world, "two authorizations", {good, good}, "TOKEN_MISSING");
  for (const char* scheme : {"Basic ", "Bearer", "Token ", "Bearer: ", ""}) {
    ExpectUnauthenticated(&world, absl::StrCat("scheme `", scheme, "`"), {scheme + token}, "TOKEN_MALFORMED");
  }
  for (const std::string& text : {std::string(), std::string("x"), token.substr(0, token.size() - 1), token + "0",
                                  " " + token, token + " ", token + "," + token, std::string("kf_u_"),
                                  std::string(54, '0'), std::string(8000, 'a'), "KF" + token.substr(2)}) {
    ExpectUnauthenticated(&world, absl::StrCat("malformed, ", text.size(), " bytes"), {"Bearer " + text},
                          "TOKEN_MALFORMED");
  }
  EXPECT_EQ(world.TakeDigest(), before);
  EXPECT_TRUE(world.CallBytes({"bearer " + token}, "TokenService.GetCaller", "").ok()) << "the scheme in lower case";
  EXPECT_TRUE(world.CallBytes({good}, "TokenService.GetCaller", "").ok());
}

TEST(AuthenticationTest, ATypoAnywhereInTheTokenIsMalformed) {
  World world;
  const std::string good = world.Bearer(Who::kMember);
  for (size_t at = 7; at < good.size(); ++at) {
    const grpc::Status status = world.CallBytes({WithTypo(good, at)}, "TokenService.GetCaller", "");
    EXPECT_EQ(status.error_code(), grpc::UNAUTHENTICATED) << at;
    EXPECT_EQ(DetailOf(status).reason(), "TOKEN_MALFORMED") << at;
  }
  for (size_t at = 7; at + 1 < good.size(); ++at) {
    std::string swapped = good;
    std::swap(swapped[at], swapped[at + 1]);
    if (swapped == good) continue;
    EXPECT_EQ(world.CallBytes({swapped}, "TokenService.GetCaller", "").error_code(), grpc::UNAUTHENTICATED) << at;
  }
}

TEST(AuthenticationTest, TokensThatWereGood) {
  World world;
  World other;
  ExpectUnauthenticated(&world, "of another server", {other.Bearer(Who::kAdmin)}, "TOKEN_UNKNOWN");

  const std::string revoked = world.Bearer(Who::kMember);
  ASSERT_TRUE(world.CallBytes({revoked}, "TokenService.GetCaller", "").ok());
  world.MustCall(Who::kAdmin, "TokenService.RevokeToken", "name: '$TOKEN'");
  ExpectUnauthenticated(&world, "revoked", {revoked}, "TOKEN_UNKNOWN");

  const auto token_of = [&](const std::string& principal) {
    const std::string bearer = "Bearer " + world.NewToken("orgs/acme/" + principal, 3600);
    EXPECT_TRUE(world.CallBytes({bearer}, "TokenService.GetCaller", "").ok());
    return bearer;
  };
  const std::string user = token_of("users/spare");
  const std::string service = token_of("services/spare");
  const std::string workload = token_of("workloads/spare");
  world.MustCall(Who::kAdmin, "DirectoryService.DeleteUser", "name: 'orgs/acme/users/spare'");
  world.MustCall(Who::kAdmin, "DirectoryService.DeleteService", "name: 'orgs/acme/services/spare'");
  world.MustCall(Who::kAdmin, "DirectoryService.DeleteWorkload", "name: 'orgs/acme/workloads/spare'");
  ExpectUnauthenticated(&world, "of a deleted user", {user}, "TOKEN_UNKNOWN");
  ExpectUnauthenticated(&world, "of a deleted service", {service}, "TOKEN_UNKNOWN");
  ExpectUnauthenticated(&world, "of a deleted workload", {workload}, "TOKEN_UNKNOWN");
  world.MustCall(Who::kAdmin, "DirectoryService.CreateUser",
                 "parent: 'orgs/acme' user_id: 'spare' user { role: ORG_ROLE_ADMIN }");
  ExpectUnauthenticated(&world, "of an earlier user of the id", {user}, "TOKEN_UNKNOWN");
}

TEST(AuthenticationTest, TokensEnd) {
  World world;
  const std::string brief = "Bearer " + world.NewToken("orgs/acme/users/mia", 60);
  world.Advance(absl::Seconds(59));
  EXPECT_TRUE(world.CallBytes({brief}, "TokenService.GetCaller", "").ok());
  world.Advance(absl::Seconds(1));
  ExpectUnauthenticated(&world, "expired", {brief}, "TOKEN_EXPIRED");
  world.MustCall(
      Who::kRival, "DirectoryService.DeleteOrg",
      absl::StrCat(
          "name: 'orgs/rival' etag: '",
          [&] {
            v1::Org org;
            org.ParseFromString(world.MustCall(Who::kRival, "DirectoryService.GetOrg", "name: 'orgs/rival'"));
            return org.etag();
          }(),
          "'"));
  ExpectUnauthenticated(&world, "of a deleted organization", {world.Bearer(Who::kRival)}, "TOKEN_UNKNOWN");
}

TEST(AuthenticationTest, HealthAndReflectionNeedNoToken) {
  World world;
  std::string health;
  EXPECT_TRUE(world.CallBytes({}, "/grpc.health.v1.Health/Check", "", &health).ok());
  EXPECT_EQ(health, std::string("\x08\x01")) << "SERVING";
  // ServerReflectionRequest{list_services: "*"} on the stream of ServerReflectionInfo.
  grpc::GenericStub stub(world.channel());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  grpc::CompletionQueue queue;
  void* tag = nullptr;
  bool ok = false;
  auto stream = stub.PrepareCall(&context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  stream->StartCall(nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
  const grpc::Slice slice(std::string("\x3a\x01*"));
  stream->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
  grpc::ByteBuffer answer;
  stream->Read(&answer, nullptr);
  ASSERT_TRUE(queue.Next(&tag, &ok) && ok);
  grpc::Slice services;
  ASSERT_TRUE(answer.DumpToSingleSlice(&services).ok());
  EXPECT_TRUE(absl::StrContains(absl::string_view(reinterpret_cast<const char*>(services.begin()), services.size()),
                                "CredentialService"));
  context.TryCancel();
  grpc::Status status;
  stream->Finish(&status, nullptr);
  queue.Next(&tag, &ok);
}

// One health check over the channel.
grpc::StatusCode Check(const std::shared_ptr<grpc::Channel>& channel, const std::string& authorization = "") {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  if (!authorization.empty()) context.AddMetadata("authorization", authorization);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
  grpc::CompletionQueue queue;
  grpc::ByteBuffer answer;
  grpc::Status status;
  const grpc::Slice slice("");
  auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", grpc::ByteBuffer(&slice, 1), &queue);
  call->StartCall();
  call->Finish(&answer, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  return status.error_code();
}

TEST(AuthenticationTest, OnlyTlsWithTheServersOwnCa) {
  World world;
  const auto over_tls = [&](const std::string& ca, const std::string& name) {
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = ca;
    grpc::ChannelArguments arguments;
    if (!name.empty()) arguments.SetSslTargetNameOverride(name);
    return Check(grpc::CreateCustomChannel(world.address(), grpc::SslCredentials(tls), arguments));
  };
  EXPECT_EQ(over_tls(world.ca(), ""), grpc::OK);
  EXPECT_EQ(over_tls(world.ca(), "localhost"), grpc::OK);
  EXPECT_EQ(over_tls(world.ca(), "keyferry.example"), grpc::UNAVAILABLE) << "a name that the certificate is not for";
  EXPECT_EQ(Check(grpc::CreateChannel(world.address(), grpc::InsecureChannelCredentials())), grpc::UNAVAILABLE);
  const std::string directory = storage::MakeTestDirectory();
  ASSERT_TRUE(server::EnsureDevCertificates(directory, absl::Now()).ok());
  std::ifstream file(directory + "/ca.pem");
  std::stringstream other_ca;
  other_ca << file.rdbuf();
  EXPECT_EQ(over_tls(other_ca.str(), ""), grpc::UNAVAILABLE) << "another CA";
}

// Sends bytes to the port without TLS and waits for the server to close the connection.
void SendRaw(const std::string& address, const std::string& bytes) {
  const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(connection, 0);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int port = 0;
  ASSERT_TRUE(absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port));
  to.sin_port = htons(static_cast<uint16_t>(port));
  ASSERT_EQ(connect(connection, reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t size = send(connection, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (size <= 0) break;  // It has closed already.
    sent += static_cast<size_t>(size);
  }
  shutdown(connection, SHUT_WR);
  char buffer[4096];
  while (recv(connection, buffer, sizeof(buffer), 0) > 0) {
  }
  close(connection);
}

TEST(AuthenticationTest, BytesThatAreNoTlsLeaveTheServerServing) {
  World world;
  const std::string hello("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
  for (const std::string& bytes :
       {std::string(), std::string("\0", 1), std::string("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), hello, hello + std::string(600, '\xff'),
        std::string("\x15\x03\x03\x00\x02\x02\x28", 7), std::string(1 << 20, '\xff'), std::string(1 << 20, 'A')}) {
    SendRaw(world.address(), bytes);
  }
  EXPECT_EQ(Check(world.channel()), grpc::OK);
  EXPECT_TRUE(world.CallBytes({world.Bearer(Who::kAdmin)}, "TokenService.GetCaller", "").ok());
}

TEST(AuthenticationTest, MetadataThatIsTooLargeIsRefusedAndHurtsNobodyElse) {
  World world;
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = world.ca();
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // A connection of its own: gRPC may give it up.
  for (const size_t size : {20000, 100000}) {
    const auto channel = grpc::CreateCustomChannel(world.address(), grpc::SslCredentials(tls), arguments);
    EXPECT_EQ(Check(channel, "Bearer " + std::string(size, 'a')), grpc::RESOURCE_EXHAUSTED) << size;
    EXPECT_EQ(Check(world.channel()), grpc::OK);
  }
}

}  // namespace
}  // namespace keyferry::testing
