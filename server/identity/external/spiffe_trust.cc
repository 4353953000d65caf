#include "server/identity/external/spiffe_trust.h"

#include <ctime>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "openssl/asn1.h"
#include "openssl/bio.h"
#include "openssl/err.h"
#include "openssl/nid.h"
#include "openssl/pem.h"
#include "openssl/x509.h"
#include "openssl/x509v3.h"
#include "server/files.h"
#include "server/identity/external/spiffe_id.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr size_t kMaxChain = 10;
constexpr size_t kMaxChainBytes = 64 << 10;

// What a failed operation leaves behind must not be found by the next one of TLS on this thread.
struct ErrorsForgotten {
  ~ErrorsForgotten() { ERR_clear_error(); }
};

// All certificates of the text, which may be none.
absl::StatusOr<std::vector<bssl::UniquePtr<X509>>> ReadPem(absl::string_view pem, size_t max_certificates) {
  std::vector<bssl::UniquePtr<X509>> chain;
  if (pem.size() > kMaxChainBytes) return absl::InvalidArgumentError("larger than 64 KiB");
  const bssl::UniquePtr<BIO> text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (text == nullptr) return absl::InvalidArgumentError("no memory to read it");
  while (true) {
    ERR_clear_error();
    bssl::UniquePtr<X509> next(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
    if (next == nullptr) break;
    if (chain.size() == max_certificates) return absl::InvalidArgumentError("too many certificates");
    chain.push_back(std::move(next));
  }
  const uint32_t error = ERR_peek_last_error();
  if (ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE) return chain;
  return absl::InvalidArgumentError(absl::StrCat("certificate ", chain.size() + 1, " is broken"));
}

// What a client shows; empty if it cannot be read whole.
std::vector<bssl::UniquePtr<X509>> ReadChain(absl::string_view pem) {
  auto chain = ReadPem(pem, kMaxChain);
  return chain.ok() ? *std::move(chain) : std::vector<bssl::UniquePtr<X509>>();
}

// The one URI among the alternative names; "" if there is none or more than one.
std::string UriOf(X509* certificate) {
  const bssl::UniquePtr<GENERAL_NAMES> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::string uri;
  for (size_t i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    if (!uri.empty()) return "";
    const ASN1_IA5STRING* const text = name->d.uniformResourceIdentifier;
    uri.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
               static_cast<size_t>(ASN1_STRING_length(text)));
    if (uri.empty()) return "";
  }
  return uri;
}

absl::StatusOr<absl::Time> ExpireTimeOf(X509* certificate) {
  const bssl::UniquePtr<ASN1_TIME> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0, seconds = 0;
  if (epoch == nullptr || ASN1_TIME_diff(&days, &seconds, epoch.get(), X509_get0_notAfter(certificate)) != 1) {
    return absl::PermissionDeniedError("the client's certificate has no end that can be read");
  }
  return absl::UnixEpoch() + absl::Hours(24) * days + absl::Seconds(seconds);
}

}  // namespace

SpiffeTrust::SpiffeTrust(std::string trust_domain, std::string bundle_file, Logger* logger, absl::Duration look_again)
    : trust_domain_(std::move(trust_domain)),
      bundle_file_(std::move(bundle_file)),
      logger_(logger),
      look_again_(look_again) {}

uint64_t SpiffeTrust::Generation(absl::Time now) {
  absl::MutexLock lock(&mutex_);
  LookAgain(now);
  return generation_;
}

void SpiffeTrust::LookAgain(absl::Time now) {
  if (now >= looked_ && now < looked_ + look_again_) return;
  looked_ = now;
  const absl::Status read = ReadBundle();
  if (!read.ok() && read.message() != problem_) {
    logger_->Write(LogLevel::kWarning, "the bundle of a trust domain cannot be used; the last one stays",
                   {{"trust_domain", trust_domain_}, {"file", bundle_file_}, {"problem", read.message()}});
  }
  problem_ = std::string(read.message());
}

absl::Status SpiffeTrust::ReadBundle() {
  const ErrorsForgotten forgotten;
  ASSIGN_OR_RETURN(const storage::SecretBytes content, ReadSmallFile(bundle_file_));
  if (store_ != nullptr && content.Expose() == content_) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto certificates, ReadPem(content.Expose(), /*max_certificates=*/100));
  bssl::UniquePtr<X509_STORE> store(X509_STORE_new());
  for (const auto& certificate : certificates) {
    if (store == nullptr || X509_STORE_add_cert(store.get(), certificate.get()) != 1) {
      return absl::InvalidArgumentError("a certificate cannot be taken");
    }
  }
  if (store == nullptr) return absl::InternalError("no memory to read it");
  if (certificates.empty()) {
    logger_->Write(LogLevel::kWarning, "the bundle of a trust domain holds no certificate; nobody of it is trusted",
                   {{"trust_domain", trust_domain_}, {"file", bundle_file_}});
  }
  content_ = std::string(content.Expose());
  store_ = std::move(store);
  ++generation_;
  return absl::OkStatus();
}

absl::Status SpiffeTrust::Verify(absl::string_view pem_chain, absl::Time now) {
  const ErrorsForgotten forgotten;
  const std::vector<bssl::UniquePtr<X509>> chain = ReadChain(pem_chain);
  if (chain.empty()) return absl::PermissionDeniedError("the client's certificates cannot be read");
  X509* const leaf = chain[0].get();
  const uint32_t usage = X509_get_key_usage(leaf);
  const bool signs = usage != UINT32_MAX && (usage & (KU_KEY_CERT_SIGN | KU_CRL_SIGN)) != 0;
  if (X509_check_ca(leaf) != 0 || signs) return absl::PermissionDeniedError("the client's certificate is a CA's");
  bssl::UniquePtr<STACK_OF(X509)> others(sk_X509_new_null());
  for (size_t i = 1; i < chain.size() && others != nullptr; ++i) {
    X509_up_ref(chain[i].get());
    if (sk_X509_push(others.get(), chain[i].get()) == 0) X509_free(chain[i].get());
  }
  const bssl::UniquePtr<X509_STORE_CTX> context(X509_STORE_CTX_new());
  absl::MutexLock lock(&mutex_);
  LookAgain(now);
  if (store_ == nullptr) return absl::UnavailableError("the bundle of the trust domain cannot be read");
  if (others == nullptr || context == nullptr ||
      X509_STORE_CTX_init(context.get(), store_.get(), leaf, others.get()) != 1) {
    return absl::PermissionDeniedError("the client's certificate cannot be verified");
  }
  X509_VERIFY_PARAM* const parameters = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(parameters, static_cast<time_t>(absl::ToUnixSeconds(now)));
  X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_CLIENT);
  if (X509_verify_cert(context.get()) == 1) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat(
      "the client's certificate: ", X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()))));
}

absl::StatusOr<CertificateClaims> ReadCertificateClaims(absl::string_view pem_chain) {
  const ErrorsForgotten forgotten;
  const std::vector<bssl::UniquePtr<X509>> chain = ReadChain(pem_chain);
  if (chain.empty()) return absl::PermissionDeniedError("the client's certificates cannot be read");
  CertificateClaims claims;
  claims.spiffe_id = UriOf(chain[0].get());
  claims.trust_domain = TrustDomainOf(claims.spiffe_id);
  if (claims.trust_domain.empty()) {
    return absl::PermissionDeniedError("the client's certificate has no SPIFFE ID, or more than one URI");
  }
  ASSIGN_OR_RETURN(claims.expire_time, ExpireTimeOf(chain[0].get()));
  return claims;
}

}  // namespace keyferry::server
