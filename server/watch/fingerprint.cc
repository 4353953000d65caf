#include "server/watch/fingerprint.h"

#include <string>

#include "absl/strings/string_view.h"
#include "openssl/hmac.h"

namespace keyferry::server {
namespace {

constexpr size_t kKeyBytes = 32;

class Hash {
 public:
  Hash(const storage::SecretBytes& key, char kind) {
    HMAC_Init_ex(context_.get(), key.Expose().data(), key.size(), EVP_sha256(), nullptr);
    Bytes(&kind, sizeof(kind));
  }
  void Number(uint64_t number) { Bytes(&number, sizeof(number)); }
  // With its size, so that no two lists of texts are the same bytes.
  void Text(absl::string_view text) {
    Number(text.size());
    Bytes(text.data(), text.size());
  }
  Fingerprinter::Fingerprint Finish() {
    Fingerprinter::Fingerprint fingerprint;
    unsigned size = 0;
    HMAC_Final(context_.get(), fingerprint.data(), &size);
    return fingerprint;
  }

 private:
  void Bytes(const void* data, size_t size) { HMAC_Update(context_.get(), static_cast<const uint8_t*>(data), size); }
  // Overwritten by its destructor.
  bssl::ScopedHMAC_CTX context_;
};

}  // namespace

Fingerprinter::Fingerprinter() : key_(kKeyBytes) { storage::RandomBytes(key_.ExposeMutable()); }

Fingerprinter::Fingerprint Fingerprinter::Of(const v1::ResolveResponse& environment) const {
  Hash hash(key_, 'E');
  hash.Number(environment.variables_size());
  for (const v1::ResolvedVariable& variable : environment.variables()) {
    hash.Text(variable.variable());
    hash.Text(variable.value());
    hash.Text(variable.credential());
    hash.Number(variable.version());
    hash.Number(variable.scope());
  }
  for (const std::string& variable : environment.unresolved_variables()) hash.Text(variable);
  return hash.Finish();
}

Fingerprinter::Fingerprint Fingerprinter::Of(const v1::ErrorDetail& problem) const {
  Hash hash(key_, 'P');
  // When to come again is another time at each look, and nothing new.
  v1::ErrorDetail what = problem;
  what.clear_retry_delay_ms();
  hash.Text(what.SerializeAsString());
  return hash.Finish();
}

}  // namespace keyferry::server
