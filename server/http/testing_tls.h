#ifndef KEYFERRY_SERVER_HTTP_TESTING_TLS_H_
#define KEYFERRY_SERVER_HTTP_TESTING_TLS_H_

#include <openssl/ssl.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace keyferry::server {

struct TestIdentity {
  std::string certificate;
  std::string key;
};

// A certificate authority of a test. Aborts the test on failure.
class TestCa {
 public:
  struct Form {
    // Subject alternative names; "" for none.
    std::string names = "IP:127.0.0.1,DNS:localhost";
    std::string common_name = "test";
    absl::Duration valid_from = -absl::Hours(1);
    absl::Duration valid_for = absl::Hours(1);
    std::string usage = "serverAuth,clientAuth";
  };

  TestCa();

  // PEM.
  const std::string& certificate() const { return certificate_; }
  // Writes it to a file of the test's own and returns the path.
  std::string WriteFile(const std::string& name) const;
  TestIdentity Issue(const Form& form) const;
  TestIdentity Issue() const { return Issue(Form()); }

 private:
  bssl::UniquePtr<EVP_PKEY> key_;
  bssl::UniquePtr<X509> x509_;
  std::string certificate_;
};

// A peer on a blocking socket that says exactly what a test tells it to, byte for byte.
class RawPeer {
 public:
  // Connects to 127.0.0.1 with TLS of at most `max_version`, which trusts `ca` and shows the certificate of `client` if
  // that is not null; 0 for no TLS.
  static std::unique_ptr<RawPeer> Connect(uint16_t port, const TestCa& ca, uint16_t max_version = TLS1_3_VERSION,
                                          const TestIdentity* client = nullptr);

  RawPeer(int socket, bssl::UniquePtr<SSL> ssl);
  ~RawPeer();

  bool connected() const { return connected_; }
  // False if the peer has closed.
  bool Write(absl::string_view bytes);
  // What arrives until `end` is there or the peer closes.
  std::string ReadUntil(absl::string_view end);
  std::string ReadToEnd() { return ReadUntil(""); }
  // Whether something arrives, or the peer closes, within the time.
  bool WaitForInput(absl::Duration at_most);
  // One answer or request that has a Content-Length.
  std::string ReadMessage();
  // Ends the connection with TLS's own end before.
  void Close();
  // Ends the TCP connection only.
  void Abort();
  // The certificate that the peer showed, DER; "" if none.
  std::string PeerCertificate() const;

 private:
  friend class RawServer;

  std::string Read();

  int socket_;
  bssl::UniquePtr<SSL_CTX> context_;
  bssl::UniquePtr<SSL> ssl_;
  bool connected_ = true;
  std::string unread_;
};

// Accepts connections on a port of 127.0.0.1, one after the other, and lets `script` talk on each.
class RawServer {
 public:
  struct Options {
    bool tls = true;
    // Asks for a client certificate of this CA.
    const TestCa* client_ca = nullptr;
    uint16_t max_version = TLS1_3_VERSION;
  };

  RawServer(const TestIdentity& identity, const Options& options, std::function<void(RawPeer&)> script);
  RawServer(const TestIdentity& identity, std::function<void(RawPeer&)> script)
      : RawServer(identity, Options(), std::move(script)) {}
  // Ends the connection that is being served.
  ~RawServer();

  uint16_t port() const { return port_; }
  int accepted();

 private:
  void Run();

  const std::function<void(RawPeer&)> script_;
  const bool tls_;
  bssl::UniquePtr<SSL_CTX> context_;
  int listening_ = -1;
  uint16_t port_ = 0;
  absl::Mutex mutex_;
  int serving_ ABSL_GUARDED_BY(mutex_) = -1;
  int accepted_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// A TCP port of 127.0.0.1 that nothing listens on.
uint16_t ClosedPort();

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_TESTING_TLS_H_
