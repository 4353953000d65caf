#include "server/http/testing_tls.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "openssl/bio.h"
#include "openssl/bn.h"
#include "openssl/ec_key.h"
#include "openssl/evp.h"
#include "openssl/nid.h"
#include "openssl/pem.h"
#include "openssl/rand.h"
#include "openssl/x509.h"
#include "openssl/x509v3.h"

namespace keyferry::server {
namespace {

void Check(bool ok, const char* what) {
  if (ok) return;
  std::cerr << "testing_tls: " << what << "\n";
  std::abort();
}

bssl::UniquePtr<EVP_PKEY> MakeKey() {
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  Check(EC_KEY_generate_key(ec.get()) && EVP_PKEY_set1_EC_KEY(key.get(), ec.get()), "key");
  return key;
}

void Extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  bssl::UniquePtr<X509_EXTENSION> extension(X509V3_EXT_nconf_nid(nullptr, &context, nid, value.c_str()));
  Check(extension != nullptr && X509_add_ext(certificate, extension.get(), -1), "extension");
}

bssl::UniquePtr<X509> MakeUnsigned(const std::string& name, EVP_PKEY* key, absl::Time from, absl::Time until) {
  bssl::UniquePtr<X509> certificate(X509_new());
  uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<uint8_t*>(&serial), sizeof(serial));
  Check(X509_set_version(certificate.get(), X509_VERSION_3) &&
            ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial >> 1) &&
            ASN1_TIME_set(X509_getm_notBefore(certificate.get()), absl::ToTimeT(from)) &&
            ASN1_TIME_set(X509_getm_notAfter(certificate.get()), absl::ToTimeT(until)) &&
            X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                                       reinterpret_cast<const uint8_t*>(name.c_str()), -1, -1, 0) &&
            X509_set_pubkey(certificate.get(), key),
        "certificate");
  return certificate;
}

template <typename Write>
std::string Pem(Write write) {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  Check(write(bio.get()) == 1, "PEM");
  const uint8_t* data = nullptr;
  size_t size = 0;
  BIO_mem_contents(bio.get(), &data, &size);
  return std::string(reinterpret_cast<const char*>(data), size);
}

std::string PemOf(X509* certificate) {
  return Pem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

bssl::UniquePtr<X509> FromPem(const std::string& pem) {
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return bssl::UniquePtr<X509>(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

bssl::UniquePtr<EVP_PKEY> KeyFromPem(const std::string& pem) {
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  return bssl::UniquePtr<EVP_PKEY>(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
}

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int ListenOnLoopback(uint16_t* port) {
  const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof(address);
  Check(listening >= 0 && bind(listening, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
            listen(listening, 64) == 0 && getsockname(listening, reinterpret_cast<sockaddr*>(&address), &size) == 0,
        "listen");
  *port = ntohs(address.sin_port);
  return listening;
}

}  // namespace

TestCa::TestCa() : key_(MakeKey()) {
  x509_ = MakeUnsigned("test CA", key_.get(), absl::Now() - absl::Hours(100), absl::Now() + absl::Hours(100));
  X509* const x509 = x509_.get();
  X509_set_issuer_name(x509, X509_get_subject_name(x509));
  Extend(x509, x509, NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  Extend(x509, x509, NID_key_usage, "critical,keyCertSign,cRLSign");
  Extend(x509, x509, NID_subject_key_identifier, "hash");
  Check(X509_sign(x509, key_.get(), EVP_sha256()) > 0, "CA");
  certificate_ = PemOf(x509);
}

std::string TestCa::WriteFile(const std::string& name) const {
  const char* const directory = std::getenv("TEST_TMPDIR");
  const std::string path = absl::StrCat(directory == nullptr ? "/tmp" : directory, "/", name, "-", getpid(), ".pem");
  std::ofstream(path) << certificate_;
  return path;
}

TestIdentity TestCa::Issue(const Form& form) const {
  const bssl::UniquePtr<EVP_PKEY> key = MakeKey();
  const bssl::UniquePtr<X509> made =
      MakeUnsigned(form.common_name, key.get(), absl::Now() + form.valid_from, absl::Now() + form.valid_for);
  X509* const x509 = made.get();
  X509_set_issuer_name(x509, X509_get_subject_name(x509_.get()));
  Extend(x509, x509_.get(), NID_basic_constraints, "critical,CA:FALSE");
  Extend(x509, x509_.get(), NID_ext_key_usage, form.usage);
  if (!form.names.empty()) Extend(x509, x509_.get(), NID_subject_alt_name, form.names);
  Extend(x509, x509_.get(), NID_authority_key_identifier, "keyid");
  Check(X509_sign(x509, key_.get(), EVP_sha256()) > 0, "sign");
  return {PemOf(x509), Pem([&](BIO* bio) {
            return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

RawPeer::RawPeer(int socket, bssl::UniquePtr<SSL> ssl) : socket_(socket), ssl_(std::move(ssl)) {
  // A peer that is gone is an error of the write, not the end of the test.
  std::signal(SIGPIPE, SIG_IGN);
}

RawPeer::~RawPeer() {
  ssl_.reset();
  close(socket_);
}

std::unique_ptr<RawPeer> RawPeer::Connect(uint16_t port, const TestCa& ca, uint16_t max_version,
                                          const TestIdentity* client) {
  const int connecting = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  Check(connecting >= 0, "socket");
  const bool connected = connect(connecting, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  auto peer = std::make_unique<RawPeer>(connecting, nullptr);
  peer->connected_ = connected;
  if (max_version == 0 || !connected) return peer;
  peer->context_.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(peer->context_.get(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(peer->context_.get(), max_version);
  X509_STORE_add_cert(SSL_CTX_get_cert_store(peer->context_.get()), FromPem(ca.certificate()).get());
  SSL_CTX_set_verify(peer->context_.get(), SSL_VERIFY_PEER, nullptr);
  if (client != nullptr) {
    Check(SSL_CTX_use_certificate(peer->context_.get(), FromPem(client->certificate).get()) == 1 &&
              SSL_CTX_use_PrivateKey(peer->context_.get(), KeyFromPem(client->key).get()) == 1,
          "client identity");
  }
  peer->ssl_.reset(SSL_new(peer->context_.get()));
  SSL_set_fd(peer->ssl_.get(), connecting);
  peer->connected_ = SSL_connect(peer->ssl_.get()) == 1;
  return peer;
}

bool RawPeer::Write(absl::string_view bytes) {
  while (!bytes.empty()) {
    const auto size = ssl_ != nullptr ? SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()))
                                      : send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(size));
  }
  return true;
}

std::string RawPeer::Read() {
  char bytes[4096];
  const auto size =
      ssl_ != nullptr ? SSL_read(ssl_.get(), bytes, sizeof(bytes)) : recv(socket_, bytes, sizeof(bytes), 0);
  return size > 0 ? std::string(bytes, static_cast<size_t>(size)) : "";
}

std::string RawPeer::ReadUntil(absl::string_view end) {
  std::string read = std::move(unread_);
  unread_.clear();
  while (true) {
    const size_t found = end.empty() ? std::string::npos : read.find(std::string(end));
    if (found != std::string::npos) {
      unread_ = read.substr(found + end.size());
      return read.substr(0, found + end.size());
    }
    const std::string more = Read();
    if (more.empty()) return read;
    read += more;
  }
}

bool RawPeer::WaitForInput(absl::Duration at_most) {
  if (ssl_ != nullptr && SSL_pending(ssl_.get()) > 0) return true;
  pollfd polled = {socket_, POLLIN, 0};
  return poll(&polled, 1, static_cast<int>(absl::ToInt64Milliseconds(at_most))) > 0;
}

std::string RawPeer::ReadMessage() {
  std::string message = ReadUntil("\r\n\r\n");
  const size_t length = message.find("Content-Length: ");
  size_t size = 0;
  if (length == std::string::npos ||
      !absl::SimpleAtoi(message.substr(length + 16, message.find("\r\n", length) - length - 16), &size)) {
    return message;
  }
  std::string body = std::move(unread_);
  unread_.clear();
  while (body.size() < size) {
    const std::string more = Read();
    if (more.empty()) break;
    body += more;
  }
  if (body.size() > size) {
    unread_ = body.substr(size);
    body.resize(size);
  }
  return message + body;
}

void RawPeer::Close() {
  if (ssl_ != nullptr) SSL_shutdown(ssl_.get());
  shutdown(socket_, SHUT_WR);
}

void RawPeer::Abort() { shutdown(socket_, SHUT_RDWR); }

std::string RawPeer::PeerCertificate() const {
  const STACK_OF(CRYPTO_BUFFER)* const chain = ssl_ == nullptr ? nullptr : SSL_get0_peer_certificates(ssl_.get());
  if (chain == nullptr || sk_CRYPTO_BUFFER_num(chain) == 0) return "";
  const CRYPTO_BUFFER* const first = sk_CRYPTO_BUFFER_value(chain, 0);
  return std::string(reinterpret_cast<const char*>(CRYPTO_BUFFER_data(first)), CRYPTO_BUFFER_len(first));
}

RawServer::RawServer(const TestIdentity& identity, const Options& options, std::function<void(RawPeer&)> script)
    : script_(std::move(script)), tls_(options.tls), context_(SSL_CTX_new(TLS_server_method())) {
  SSL_CTX_set_max_proto_version(context_.get(), options.max_version);
  SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
  Check(SSL_CTX_use_certificate(context_.get(), FromPem(identity.certificate).get()) == 1 &&
            SSL_CTX_use_PrivateKey(context_.get(), KeyFromPem(identity.key).get()) == 1,
        "identity");
  if (options.client_ca != nullptr) {
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), FromPem(options.client_ca->certificate()).get());
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  listening_ = ListenOnLoopback(&port_);
  thread_ = std::thread([this] { Run(); });
}

RawServer::~RawServer() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    if (serving_ >= 0) shutdown(serving_, SHUT_RDWR);
  }
  shutdown(listening_, SHUT_RDWR);
  thread_.join();
  close(listening_);
}

int RawServer::accepted() {
  absl::MutexLock lock(&mutex_);
  return accepted_;
}

void RawServer::Run() {
  while (true) {
    const int accepted = accept4(listening_, nullptr, nullptr, SOCK_CLOEXEC);
    if (accepted < 0) return;
    RawPeer peer(accepted, nullptr);
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_) return;
      serving_ = accepted;
      ++accepted_;
    }
    if (tls_) {
      peer.ssl_.reset(SSL_new(context_.get()));
      SSL_set_fd(peer.ssl_.get(), accepted);
      peer.connected_ = SSL_accept(peer.ssl_.get()) == 1;
    }
    if (peer.connected_) script_(peer);
    absl::MutexLock lock(&mutex_);
    serving_ = -1;
  }
}

uint16_t ClosedPort() {
  uint16_t port = 0;
  close(ListenOnLoopback(&port));
  return port;
}

}  // namespace keyferry::server
