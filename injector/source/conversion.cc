#include "injector/source/conversion.h"

#include <string.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "client/secret_text.h"
#include "openssl/hmac.h"
#include "openssl/mem.h"
#include "openssl/rand.h"

namespace keyferry::injector {
namespace {

absl::Time FromTimestamp(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

client::SecretText TakeSecret(std::string* text) {
  client::SecretText secret(text->size());
  memcpy(secret.ExposeMutable(), text->data(), text->size());
  client::WipeString(*text);
  return secret;
}

// With its length first, so that no two lists of fields read the same.
void Update(HMAC_CTX* hmac, absl::string_view field) {
  const uint64_t size = field.size();
  HMAC_Update(hmac, reinterpret_cast<const uint8_t*>(&size), sizeof(size));
  HMAC_Update(hmac, reinterpret_cast<const uint8_t*>(field.data()), field.size());
}

}  // namespace

ResolvedEnvironment TakeEnvironment(v1::ResolveResponse* response) {
  ResolvedEnvironment environment;
  environment.revision = response->revision();
  environment.variables.reserve(response->variables_size());
  for (v1::ResolvedVariable& variable : *response->mutable_variables()) {
    ResolvedValue value;
    value.name = variable.variable();
    value.value = TakeSecret(variable.mutable_value());
    value.allowed_by_org = variable.allowed_by_org();
    value.credential = variable.credential();
    value.version = variable.version();
    if (variable.has_refresh_time()) value.refresh_time = FromTimestamp(variable.refresh_time());
    environment.variables.push_back(std::move(value));
  }
  response->Clear();
  return environment;
}

void WipeValues(v1::ResolveResponse* response) {
  for (v1::ResolvedVariable& variable : *response->mutable_variables()) client::WipeString(*variable.mutable_value());
  response->Clear();
}

absl::StatusOr<Environment> EnvironmentFor(const char* const* inherited, const InheritRules& rules,
                                           const ResolvedEnvironment& resolved) {
  std::vector<BoundVariable> bindings;
  bindings.reserve(resolved.variables.size());
  for (const ResolvedValue& variable : resolved.variables) {
    bindings.push_back({variable.name, variable.value.Expose(), variable.allowed_by_org});
  }
  return BuildEnvironment(inherited, rules, bindings);
}

EnvironmentFingerprinter::EnvironmentFingerprinter() { RAND_bytes(key_.data(), key_.size()); }

EnvironmentFingerprinter::~EnvironmentFingerprinter() { OPENSSL_cleanse(key_.data(), key_.size()); }

EnvironmentFingerprinter::Fingerprint EnvironmentFingerprinter::Of(const ResolvedEnvironment& environment) const {
  Fingerprint fingerprint = {};
  unsigned size = fingerprint.size();
  bssl::ScopedHMAC_CTX hmac;
  HMAC_Init_ex(hmac.get(), key_.data(), key_.size(), EVP_sha256(), nullptr);
  for (const ResolvedValue& variable : environment.variables) {
    const std::string version = std::to_string(variable.version);
    const std::string refresh = absl::FormatTime(variable.refresh_time);
    for (const absl::string_view field :
         {absl::string_view(variable.name), variable.value.Expose(),
          absl::string_view(variable.allowed_by_org ? "1" : ""), absl::string_view(variable.credential),
          absl::string_view(version), absl::string_view(refresh)}) {
      Update(hmac.get(), field);
    }
  }
  HMAC_Final(hmac.get(), fingerprint.data(), &size);
  return fingerprint;
}

}  // namespace keyferry::injector
