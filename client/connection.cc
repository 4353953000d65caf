#include "client/connection.h"

#include <grpc/support/log.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <stdlib.h>

#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/files.h"
#include "client/secret_text.h"

namespace keyferry::client {
namespace {

constexpr size_t kMaxPemFile = 4 * 1024 * 1024;
// 256 bindings of 64 KiB and their names fit.
constexpr int kMaxResponseBytes = 32 * 1024 * 1024;
constexpr int kKeepaliveMs = 60 * 1000;
constexpr int kKeepaliveTimeoutMs = 20 * 1000;
// Far below gRPC's defaults of 1 s and 2 min: retries are paced by RunWithRetry, and a try during the channel's own
// backoff fails without anything being sent.
constexpr int kInitialReconnectMs = 100;
constexpr int kMaxReconnectMs = 3000;

// Adds the token to each call.
class TokenPlugin : public grpc::MetadataCredentialsPlugin {
 public:
  explicit TokenPlugin(SecretText token) : token_(std::move(token)) {}

  // Answers at once, so no thread is needed for it.
  bool IsBlocking() const override { return false; }
  const char* GetType() const override { return "keyferry-token"; }
  grpc::string DebugString() override { return "keyferry-token"; }

  grpc::Status GetMetadata(grpc::string_ref /*service_url*/, grpc::string_ref /*method_name*/,
                           const grpc::AuthContext& /*channel_auth_context*/,
                           std::multimap<grpc::string, grpc::string>* metadata) override {
    metadata->emplace("authorization", absl::StrCat("Bearer ", token_.Expose()));
    return grpc::Status::OK;
  }

 private:
  const SecretText token_;
};

bool IsLoopback(absl::string_view address) {
  return absl::StartsWith(address, "127.") || absl::StartsWith(address, "[::1]") ||
         absl::StartsWith(address, "localhost:");
}

grpc::ChannelArguments Arguments(const ConnectionOptions& options) {
  grpc::ChannelArguments arguments;
  arguments.SetUserAgentPrefix(absl::StrCat("keyferry/", kClientVersion));
  arguments.SetMaxReceiveMessageSize(kMaxResponseBytes);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMs);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, kInitialReconnectMs);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, kMaxReconnectMs);
  arguments.SetInt(GRPC_ARG_SERVICE_CONFIG_DISABLE_RESOLUTION, 1);
  // A response can hold values; nothing of it is kept by gRPC beyond the call, and proxies see only TLS.
  if (IsLoopback(options.address)) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return arguments;
}

// gRPC writes to standard error what every caller of ours reports as one line, and with GRPC_TRACE the token as well.
void SilenceGrpc() {
  gpr_set_log_function([](gpr_log_func_args*) {});
}

absl::Status CheckAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon != std::string::npos && colon > 0 && colon + 1 < address.size() && !absl::StrContains(address, "/")) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the server address is not of the form HOST:PORT: ", address, "; correct it"));
}

absl::StatusOr<grpc::SslCredentialsOptions> ReadTlsFiles(const ConnectionOptions& options) {
  grpc::SslCredentialsOptions tls;
  if (!options.ca_file.empty()) {
    absl::StatusOr<std::string> ca = ReadFile(options.ca_file, "CA file", kMaxPemFile);
    if (!ca.ok()) return ca.status();
    if (!absl::StrContains(*ca, "-----BEGIN CERTIFICATE-----")) {
      return absl::InvalidArgumentError(
          absl::StrCat("the CA file holds no PEM certificate: ", options.ca_file, "; name the server's CA"));
    }
    tls.pem_root_certs = *std::move(ca);
  }
  if (!options.client_cert_file.empty()) {
    absl::StatusOr<std::string> chain = ReadFile(options.client_cert_file, "client certificate file", kMaxPemFile);
    if (!chain.ok()) return chain.status();
    absl::StatusOr<SecretText> key = ReadSecretFile(options.client_key_file, "client key file", kMaxPemFile);
    if (!key.ok()) return key.status();
    tls.pem_cert_chain = *std::move(chain);
    tls.pem_private_key = std::string(key->Expose());
  }
  return tls;
}

// What a person can do about a server that cannot be reached, from the words of gRPC's transports.
std::string NextStepForUnavailable(const ApiError& error, const ConnectionOptions& options) {
  const std::string ca = options.ca_file.empty() ? "the system's CAs" : options.ca_file;
  if (absl::StrContains(error.message, "CERTIFICATE_VERIFY_FAILED")) {
    return absl::StrCat("the server's certificate is not signed by ", ca, ": check the CA file and the address");
  }
  if (absl::StrContains(error.message, "Peer name") || absl::StrContains(error.message, "peer is not")) {
    return "the server's certificate is for another name: use the name that it was issued for";
  }
  if (absl::StrContains(error.message, "handshake failed") || absl::StrContains(error.message, "WRONG_VERSION")) {
    return "no TLS connection was possible: check that keyferryd listens at this address";
  }
  return "check that keyferryd is running and that the address is right";
}

// gRPC's own message lists every inner step of a failed connection; the next step says what matters of it.
void ExplainUnavailable(const ConnectionOptions& options, ApiError& error) {
  error.next_step = NextStepForUnavailable(error, options);
  error.message = absl::StrContains(error.message, "Connection refused")
                      ? "server unreachable (connection refused)"
                      : absl::StrCat("server unreachable (", error.message, ")");
}

// Completes an error that did not come from keyferryd itself, which always names a next step.
void Explain(const ConnectionOptions& options, ApiError& error) {
  if (!error.next_step.empty()) return;
  if (error.code == absl::StatusCode::kUnavailable) {
    ExplainUnavailable(options, error);
  } else if (error.code == absl::StatusCode::kDeadlineExceeded) {
    error.message = "the server did not answer in time";
    error.next_step = "try again, or allow more time";
  } else if (error.code == absl::StatusCode::kUnimplemented) {
    error.message = "the server does not offer this call";
    error.next_step = "check that the server is a keyferryd of this version or a newer one";
  } else {
    return;
  }
  if (error.resource.empty()) error.resource = options.address;
}

// gRPC moves a connection forward only while somebody waits for it. During a plain sleep a handshake would stand still
// until gRPC's backup poller looks, every 5 s, so the wait between two tries waits for the connection.
RetryEnvironment RealEnvironment(const std::shared_ptr<grpc::Channel>& channel) {
  RetryEnvironment environment = RetryEnvironment::Real();
  environment.sleep = [channel](absl::Duration duration) {
    if (channel->GetState(/*try_to_connect=*/true) == GRPC_CHANNEL_READY) {
      absl::SleepFor(duration);
    } else {
      channel->WaitForConnected(absl::ToChronoTime(absl::Now() + duration));
    }
  };
  return environment;
}

}  // namespace

Connection::Connection(ConnectionOptions options, std::shared_ptr<grpc::Channel> channel)
    : options_(std::move(options)), channel_(std::move(channel)), retry_environment_(RealEnvironment(channel_)) {}

Connection::~Connection() = default;

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const ConnectionOptions& options) {
  SilenceGrpc();
  absl::Status address = CheckAddress(options.address);
  if (!address.ok()) return address;
  absl::StatusOr<grpc::SslCredentialsOptions> tls = ReadTlsFiles(options);
  if (!tls.ok()) return tls.status();
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::SslCredentials(*tls);
  WipeString(tls->pem_private_key);
  if (credentials == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("the TLS files cannot be used: ", options.ca_file, " ", options.client_cert_file,
                     "; check that they hold PEM certificates and the key that belongs to them"));
  }
  if (!options.token_file.empty()) {
    absl::StatusOr<SecretText> token = ReadTokenFile(options.token_file);
    if (!token.ok()) return token.status();
    credentials = grpc::CompositeChannelCredentials(
        credentials, grpc::MetadataCredentialsFromPlugin(std::make_unique<TokenPlugin>(*std::move(token))));
  }
  std::shared_ptr<grpc::Channel> channel = grpc::CreateCustomChannel(options.address, credentials, Arguments(options));
  return std::unique_ptr<Connection>(new Connection(options, std::move(channel)));
}

std::optional<ApiError> Connection::Call(const CallPolicy& policy,
                                         absl::FunctionRef<grpc::Status(grpc::ClientContext*)> attempt) const {
  std::optional<ApiError> error =
      RunWithRetry(policy, retry_environment_, [&](absl::Time deadline) -> std::optional<ApiError> {
        grpc::ClientContext context;
        context.set_deadline(absl::ToChronoTime(deadline));
        const grpc::Status status = attempt(&context);
        if (status.ok()) return std::nullopt;
        return DecodeApiError(status);
      });
  if (error.has_value()) Explain(options_, *error);
  return error;
}

ApiError Connection::ErrorOf(const grpc::Status& status) const {
  ApiError error = DecodeApiError(status);
  Explain(options_, error);
  return error;
}

}  // namespace keyferry::client
