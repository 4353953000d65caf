#include "server/oauth/providers/client_fields.h"

#include <string>

#include "absl/strings/string_view.h"
#include "openssl/bio.h"
#include "openssl/evp.h"
#include "openssl/pem.h"
#include "openssl/x509.h"
#include "server/errors.h"
#include "server/names.h"
#include "server/oauth/providers/field_checks.h"
#include "server/status_macros.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {
namespace {

constexpr char kField[] = "oauth_provider.client.";
constexpr size_t kMaxClientIdBytes = 2048;
constexpr size_t kMaxSecretBytes = 4096;
constexpr size_t kMaxPemBytes = size_t{32} << 10;

std::string Field(absl::string_view member) { return kField + std::string(member); }

bssl::UniquePtr<BIO> Memory(absl::string_view text) {
  return bssl::UniquePtr<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

absl::Status CheckCertificate(const v1::OauthClient& client) {
  const std::string& certificate = client.certificate();
  const std::string& private_key = client.certificate_private_key();
  if (certificate.empty() && private_key.empty()) return absl::OkStatus();
  if (certificate.empty()) return InvalidField(Field("certificate"), "required with its key", "Send both as PEM.");
  if (private_key.empty()) {
    return InvalidField(Field("certificate_private_key"), "required with the certificate", "Send both as PEM.");
  }
  if (certificate.size() > kMaxPemBytes) {
    return InvalidField(Field("certificate"), "longer than 32 KiB", "Send the certificate and its chain alone.");
  }
  if (private_key.size() > kMaxPemBytes) {
    return InvalidField(Field("certificate_private_key"), "longer than 32 KiB", "Send one key.");
  }
  const bssl::UniquePtr<X509> parsed(PEM_read_bio_X509(Memory(certificate).get(), nullptr, nullptr, nullptr));
  if (parsed == nullptr) return InvalidField(Field("certificate"), "no PEM certificate", "Send it as PEM.");
  // An encrypted key must fail rather than ask on a terminal.
  const auto no_password = [](char*, int, int, void*) { return 0; };
  const bssl::UniquePtr<EVP_PKEY> key(
      PEM_read_bio_PrivateKey(Memory(private_key).get(), nullptr, no_password, nullptr));
  if (key == nullptr) {
    return InvalidField(Field("certificate_private_key"), "no unencrypted PEM private key", "Send it as PKCS #8 PEM.");
  }
  if (X509_check_private_key(parsed.get(), key.get()) != 1) {
    return InvalidField(Field("certificate_private_key"), "does not belong to the certificate", "Send its own key.");
  }
  return absl::OkStatus();
}

bool NeedsSecret(v1::OauthClientAuthentication authentication) {
  return authentication == v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC ||
         authentication == v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST ||
         authentication == v1::OAUTH_CLIENT_AUTHENTICATION_SECRET_AS_BASIC_USER ||
         authentication == v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC_RAW;
}

}  // namespace

absl::Status CheckClient(const v1::OauthClient& client) {
  RETURN_IF_ERROR(CheckPrintable(client.client_id(), kMaxClientIdBytes, Field("client_id")));
  RETURN_IF_ERROR(CheckText(client.client_secret(), kMaxSecretBytes, Field("client_secret")));
  if (!v1::OauthClientAuthentication_IsValid(client.authentication())) {
    return InvalidField(Field("authentication"), "not known", "Use one of OAUTH_CLIENT_AUTHENTICATION_*.");
  }
  if (!v1::OauthSigningAlgorithm_IsValid(client.signing_algorithm())) {
    return InvalidField(Field("signing_algorithm"), "not known", "Use one of OAUTH_SIGNING_ALGORITHM_*.");
  }
  RETURN_IF_ERROR(CheckCertificate(client));
  RETURN_IF_ERROR(CheckPrintable(client.assertion_audience(), kMaxUrlBytes, Field("assertion_audience")));
  RETURN_IF_ERROR(CheckPrintable(client.registration_token(), kMaxSecretBytes, Field("registration_token")));
  if (client.registration_token().find(' ') != std::string::npos) {
    return InvalidField(Field("registration_token"), "has a space", "Send the token alone, without `Bearer`.");
  }
  if (!client.register_dynamically()) {
    if (client.registration_token().empty()) return absl::OkStatus();
    return InvalidField(Field("registration_token"), "of no use without register_dynamically", "Leave it out.");
  }
  if (!client.client_id().empty()) {
    return InvalidField(Field("client_id"), "given by the provider when the client is registered", "Leave it out.");
  }
  if (!client.client_secret().empty()) {
    return InvalidField(Field("client_secret"), "given by the provider when the client is registered", "Leave it out.");
  }
  return absl::OkStatus();
}

absl::Status CheckClientComplete(const v1::OauthClient& client) {
  if (client.client_id().empty()) {
    return InvalidField(Field("client_id"), "required", "Register a client at the provider and send its id.");
  }
  if (NeedsSecret(client.authentication()) && client.client_secret().empty()) {
    return InvalidField(Field("client_secret"), "required for this authentication",
                        "Send it, or use OAUTH_CLIENT_AUTHENTICATION_NONE.");
  }
  if (client.authentication() == v1::OAUTH_CLIENT_AUTHENTICATION_TLS_CLIENT_AUTH && client.certificate().empty()) {
    return InvalidField(Field("certificate"), "required for TLS_CLIENT_AUTH", "Send it and its private key as PEM.");
  }
  return absl::OkStatus();
}

absl::Status CheckRegistersOnlyAtCreation(const v1::OauthProvider& provider) {
  if (!provider.client().register_dynamically() && provider.client().registration_token().empty()) {
    return absl::OkStatus();
  }
  return InvalidField(Field("register_dynamically"), "only when the provider is created",
                      "Create a new provider, or send the client id.");
}

void WipeRegistrationToken(v1::OauthClient* client) { storage::WipeString(*client->mutable_registration_token()); }

}  // namespace keyferry::server
