// Whom the client trusts, and where it connects to.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/http/beast_client.h"
#include "server/http/testing_client.h"
#include "server/http/testing_tls.h"

namespace keyferry::server {
namespace {

using Code = absl::StatusCode;

void AnswerOk(RawPeer& peer) {
  peer.ReadMessage();
  peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  peer.Close();
  peer.ReadToEnd();
}

// A client whose names lead to 127.0.0.1, unless a test says otherwise.
class ClientTlsTest : public ::testing::Test {
 protected:
  void Start(const std::vector<std::string>& allowed = {"127.0.0.1"}) {
    BeastClient::Options options;
    options.ca_bundle = ca_.WriteFile("trusted");
    options.guard = *AddressGuard::Create(allowed);
    auto resolver = std::make_unique<FakeResolver>();
    resolver_ = resolver.get();
    options.resolver = std::move(resolver);
    client_ = *BeastClient::Create(std::move(options));
  }

  absl::StatusOr<HttpResponse> Ask(const std::string& host, uint16_t port,
                                   std::shared_ptr<const HttpClientIdentity> identity = nullptr) {
    HttpRequest request = Get(absl::StrCat("https://", host, ":", port, "/secret"));
    request.identity = std::move(identity);
    auto answer = SendAndWait(*client_, std::move(request));
    EXPECT_FALSE(absl::StrContains(answer.status().message(), "secret"));
    return answer;
  }

  TestCa ca_;
  FakeResolver* resolver_ = nullptr;
  std::unique_ptr<BeastClient> client_;
};

TEST_F(ClientTlsTest, OnlyACertificateOfTheHost) {
  Start();
  for (const char* host : {"a.test", "b.test", "x.wild.test", "x.y.wild.test", "wild.test", "localhost"}) {
    resolver_->Answer(host, {"127.0.0.1"});
  }
  const TestCa stranger;
  struct Case {
    std::string name;
    std::string host;
    TestIdentity identity;
    std::string problem;  // "" if it is trusted.
  };
  const auto with = [](auto change) {
    TestCa::Form form;
    change(form);
    return form;
  };
  const auto names = [&](const std::string& names) {
    return ca_.Issue(with([&](TestCa::Form& form) { form.names = names; }));
  };
  for (const Case& c : std::vector<Case>{
           {"name", "a.test", names("DNS:a.test"), ""},
           {"one of several names", "b.test", names("DNS:a.test,DNS:b.test"), ""},
           {"name in capitals", "A.TEST", names("DNS:a.test"), ""},
           {"address", "127.0.0.1", names("IP:127.0.0.1"), ""},
           {"wildcard", "x.wild.test", names("DNS:*.wild.test"), ""},
           {"wildcard of one label only", "x.y.wild.test", names("DNS:*.wild.test"), "Hostname mismatch"},
           {"wildcard not of its parent", "wild.test", names("DNS:*.wild.test"), "Hostname mismatch"},
           {"other name", "a.test", names("DNS:b.test"), "Hostname mismatch"},
           {"name that only begins alike", "a.test", names("DNS:a.test.evil.test"), "Hostname mismatch"},
           {"no name", "a.test", names(""), "Hostname mismatch"},
           {"other address", "127.0.0.1", names("IP:127.0.0.2"), "IP address mismatch"},
           {"address as a name", "127.0.0.1", names("DNS:127.0.0.1"), "IP address mismatch"},
           {"name for an address", "127.0.0.1", names("DNS:localhost"), "IP address mismatch"},
           {"common name only", "a.test", ca_.Issue(with([](TestCa::Form& f) {
              f.names = "";
              f.common_name = "a.test";
            })),
            "Hostname mismatch"},
           {"expired", "127.0.0.1", ca_.Issue(with([](TestCa::Form& f) {
              f.valid_from = -absl::Hours(2);
              f.valid_for = -absl::Hours(1);
            })),
            "certificate has expired"},
           {"not yet valid", "127.0.0.1", ca_.Issue(with([](TestCa::Form& f) {
              f.valid_from = absl::Hours(1);
              f.valid_for = absl::Hours(2);
            })),
            "certificate is not yet valid"},
           {"of another CA", "127.0.0.1", stranger.Issue(), "unable to get local issuer certificate"},
           {"for clients only", "127.0.0.1", ca_.Issue(with([](TestCa::Form& f) { f.usage = "clientAuth"; })),
            "unsupported certificate purpose"},
       }) {
    SCOPED_TRACE(c.name);
    bool reached = false;
    RawServer server(c.identity, [&reached](RawPeer& peer) {
      const std::string request = peer.ReadMessage();
      reached = reached || !request.empty();
      peer.Write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      peer.Close();
      peer.ReadToEnd();
    });
    const auto answer = Ask(c.host, server.port());
    if (c.problem.empty()) {
      EXPECT_TRUE(answer.ok()) << answer.status();
      continue;
    }
    EXPECT_EQ(answer.status().code(), Code::kUnavailable);
    EXPECT_EQ(answer.status().message(),
              absl::StrCat(c.host, ": the server's certificate is not trusted: ", c.problem));
    EXPECT_FALSE(reached);
  }
}

TEST_F(ClientTlsTest, OnlyTls12AndLater) {
  Start();
  for (const auto& [version, good] : {std::pair(TLS1_3_VERSION, true), std::pair(TLS1_2_VERSION, true),
                                      std::pair(TLS1_1_VERSION, false), std::pair(TLS1_VERSION, false)}) {
    RawServer::Options options;
    options.max_version = static_cast<uint16_t>(version);
    RawServer server(ca_.Issue(), options, AnswerOk);
    const auto answer = Ask("127.0.0.1", server.port());
    EXPECT_EQ(answer.ok(), good) << version << " " << answer.status();
    if (!good) {
      EXPECT_EQ(answer.status().code(), Code::kUnavailable);
    }
  }
}

TEST_F(ClientTlsTest, NothingIsSaidToAServerWithoutTls) {
  Start();
  std::string received;
  RawServer::Options options;
  options.tls = false;
  {
    RawServer server(ca_.Issue(), options, [&](RawPeer& peer) {
      peer.Write("HTTP/1.1 400 Bad Request\r\n\r\n");
      received = peer.ReadToEnd();
    });
    EXPECT_EQ(Ask("127.0.0.1", server.port()).status().code(), Code::kUnavailable);
  }
  EXPECT_FALSE(absl::StrContains(received, "secret"));
}

TEST_F(ClientTlsTest, ShowsACertificateWhereOneIsAskedFor) {
  Start();
  const TestCa clients;
  RawServer::Options options;
  options.client_ca = &clients;
  for (const uint16_t version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    options.max_version = version;
    std::string shown;
    RawServer server(ca_.Issue(), options, [&](RawPeer& peer) {
      shown = peer.PeerCertificate();
      AnswerOk(peer);
    });
    EXPECT_EQ(Ask("127.0.0.1", server.port()).status().code(), Code::kUnavailable) << version;
    const auto identity_of = [](const TestIdentity& issued) {
      auto identity = std::make_shared<HttpClientIdentity>();
      identity->certificate = issued.certificate;
      identity->private_key = storage::SecretBytes::CopyOf(issued.key);
      return identity;
    };
    const auto answer = Ask("127.0.0.1", server.port(), identity_of(clients.Issue()));
    EXPECT_TRUE(answer.ok()) << answer.status();
    EXPECT_NE(shown, "");
    EXPECT_EQ(Ask("127.0.0.1", server.port(), identity_of(ca_.Issue())).status().code(), Code::kUnavailable);
    TestIdentity mixed = clients.Issue();
    mixed.key = clients.Issue().key;
    EXPECT_EQ(Ask("127.0.0.1", server.port(), identity_of(mixed)).status().code(), Code::kInvalidArgument);
    EXPECT_EQ(Ask("127.0.0.1", server.port(), identity_of({"x", "y"})).status().code(), Code::kInvalidArgument);
  }
}

TEST_F(ClientTlsTest, NoAddressThatIsNotAllowedIsConnectedTo) {
  RawServer server(ca_.Issue(), AnswerOk);
  struct Case {
    std::string name;
    std::vector<std::string> allowed;
    std::string host;
    std::vector<std::string> addresses;
    Code code;
  };
  const std::string port = absl::StrCat(server.port());
  for (const Case& c : std::vector<Case>{
           {"loopback by name", {}, "a.test", {"127.0.0.1"}, Code::kPermissionDenied},
           {"localhost", {}, "localhost", {"127.0.0.1", "::1"}, Code::kPermissionDenied},
           {"loopback by address", {}, "127.0.0.1", {}, Code::kPermissionDenied},
           {"loopback of IPv6", {}, "[::1]", {}, Code::kPermissionDenied},
           {"mapped", {"127.0.0.1"}, "[::ffff:127.0.0.1]", {}, Code::kPermissionDenied},
           {"mapped in hexadecimal", {"127.0.0.1"}, "[::ffff:7f00:1]", {}, Code::kPermissionDenied},
           {"mapped by name", {"127.0.0.1"}, "a.test", {"::ffff:127.0.0.1"}, Code::kPermissionDenied},
           {"unspecified", {"127.0.0.1"}, "0.0.0.0", {}, Code::kPermissionDenied},
           {"unspecified of IPv6", {"::1"}, "[::]", {}, Code::kPermissionDenied},
           {"rest of the loopback block", {"127.0.0.1"}, "127.0.0.3", {}, Code::kPermissionDenied},
           {"other port", {"127.0.0.1:1"}, "127.0.0.1", {}, Code::kPermissionDenied},
           {"only private addresses",
            {"127.0.0.1"},
            "a.test",
            {"10.0.0.1", "169.254.169.254", "fd00::1"},
            Code::kPermissionDenied},
           {"one number", {}, "2130706433", {}, Code::kInvalidArgument},
           {"octal", {}, "0177.0.0.1", {}, Code::kInvalidArgument},
           {"hexadecimal", {}, "0x7f.0.0.1", {}, Code::kInvalidArgument},
           {"short", {}, "127.1", {}, Code::kInvalidArgument},
           {"trailing dot", {}, "127.0.0.1.", {}, Code::kInvalidArgument},
           {"name with a trailing dot", {}, "localhost.", {}, Code::kInvalidArgument},
       }) {
    SCOPED_TRACE(c.name);
    Start(c.allowed);
    if (!c.addresses.empty()) resolver_->Answer(c.host, c.addresses);
    const auto answer = Ask(c.host, server.port());
    EXPECT_EQ(answer.status().code(), c.code) << answer.status();
  }
  EXPECT_EQ(server.accepted(), 0);
  Start({"127.0.0.1:" + port});
  EXPECT_TRUE(Ask("127.0.0.1", server.port()).ok());
  EXPECT_EQ(server.accepted(), 1);
}

TEST_F(ClientTlsTest, ANameIsResolvedOnceAndOnlyItsAllowedAddressesAreTried) {
  TestCa::Form form;
  form.names = "DNS:rebinding.test,DNS:mixed.test,DNS:late.test";
  RawServer server(ca_.Issue(form), AnswerOk);
  Start({"127.0.0.1", "127.0.0.2"});
  // A server that wanted to lead the client elsewhere after the check would do it with the second answer.
  resolver_->Answer("rebinding.test", {"10.0.0.1"});
  resolver_->Answer("rebinding.test", {"127.0.0.1"});
  EXPECT_EQ(Ask("rebinding.test", server.port()).status().code(), Code::kPermissionDenied);
  EXPECT_EQ(resolver_->calls(), 1);
  resolver_->Answer("mixed.test", {"169.254.169.254", "10.0.0.1", "127.0.0.3", "127.0.0.1"});
  EXPECT_TRUE(Ask("mixed.test", server.port()).ok());
  EXPECT_EQ(resolver_->calls(), 2);
  // Nothing listens on 127.0.0.2.
  resolver_->Answer("late.test", {"127.0.0.2", "127.0.0.1"});
  EXPECT_TRUE(Ask("late.test", server.port()).ok());
  EXPECT_EQ(server.accepted(), 2);
}

TEST_F(ClientTlsTest, SaysThatNothingListensOrNothingIsThere) {
  Start();
  const auto refused = Ask("127.0.0.1", ClosedPort());
  EXPECT_EQ(refused.status().code(), Code::kUnavailable);
  EXPECT_EQ(refused.status().message(), "127.0.0.1: cannot be connected to: Connection refused");
  resolver_->Answer("missing.test", {});
  EXPECT_EQ(Ask("missing.test", 443).status().code(), Code::kUnavailable);
}

TEST(SystemResolverTest, KnowsLocalhostAndEndsAtOnce) {
  auto resolver = *MakeSystemResolver();
  absl::Notification ended;
  absl::StatusOr<std::vector<IpAddress>> addresses;
  resolver->Resolve("localhost", [&](absl::StatusOr<std::vector<IpAddress>> answer) {
    addresses = std::move(answer);
    ended.Notify();
  });
  ended.WaitForNotification();
  ASSERT_TRUE(addresses.ok()) << addresses.status();
  for (const IpAddress& address : *addresses) EXPECT_TRUE(address.IsLoopback()) << address.ToString();
  int answers = 0;
  for (int i = 0; i < 20; ++i) {
    resolver->Resolve("localhost", [&](absl::StatusOr<std::vector<IpAddress>>) { ++answers; });
  }
  resolver.reset();
  EXPECT_EQ(answers, 20);
}

}  // namespace
}  // namespace keyferry::server
