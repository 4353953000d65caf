#include "injector/webhook/certificate_files.h"

#include <utility>

#include "absl/strings/string_view.h"
#include "client/files.h"
#include "openssl/sha.h"

namespace keyferry::injector::webhook {
namespace {

constexpr size_t kMaxFile = 1 << 20;

}  // namespace

absl::StatusOr<TlsIdentity> CertificateFiles::Read() {
  TlsIdentity identity;
  absl::StatusOr<std::string> certificate = client::ReadFile(paths_.certificate, "certificate file", kMaxFile);
  if (!certificate.ok()) return certificate.status();
  identity.certificate = *std::move(certificate);
  absl::StatusOr<client::SecretText> key = client::ReadSecretFile(paths_.key, "key file", kMaxFile);
  if (!key.ok()) return key.status();
  identity.key = *std::move(key);
  if (!paths_.client_ca.empty()) {
    absl::StatusOr<std::string> client_ca = client::ReadFile(paths_.client_ca, "file of the clients' CA", kMaxFile);
    if (!client_ca.ok()) return client_ca.status();
    identity.client_ca = *std::move(client_ca);
    // An empty file must not mean that everybody is let in.
    if (identity.client_ca.empty()) identity.client_ca = "\n";
  }
  if (used_.empty()) used_ = Digest(identity);
  return identity;
}

absl::StatusOr<bool> CertificateFiles::Reload(const std::function<absl::Status(const TlsIdentity&)>& use) {
  const absl::StatusOr<TlsIdentity> identity = Read();
  absl::Status status = identity.status();
  std::string digest;
  if (identity.ok()) {
    digest = Digest(*identity);
    if (digest == used_) {
      complained_of_.clear();
      return false;
    }
    status = use(*identity);
  }
  if (status.ok()) {
    used_ = std::move(digest);
    complained_of_.clear();
    return true;
  }
  if (status.message() == complained_of_) return false;
  complained_of_ = std::string(status.message());
  return status;
}

std::string CertificateFiles::Digest(const TlsIdentity& identity) {
  SHA256_CTX context;
  SHA256_Init(&context);
  for (const absl::string_view part :
       {absl::string_view(identity.certificate), identity.key.Expose(), absl::string_view(identity.client_ca)}) {
    const uint64_t size = part.size();
    SHA256_Update(&context, &size, sizeof(size));
    SHA256_Update(&context, part.data(), part.size());
  }
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256_Final(reinterpret_cast<uint8_t*>(digest.data()), &context);
  return digest;
}

}  // namespace keyferry::injector::webhook
