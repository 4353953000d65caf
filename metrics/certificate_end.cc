#include "metrics/certificate_end.h"

#include <algorithm>

#include "openssl/asn1.h"
#include "openssl/bio.h"
#include "openssl/err.h"
#include "openssl/pem.h"
#include "openssl/x509.h"

namespace keyferry::metrics {
namespace {

absl::Time EndOf(const X509& certificate) {
  const bssl::UniquePtr<ASN1_TIME> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0;
  int seconds = 0;
  if (ASN1_TIME_diff(&days, &seconds, epoch.get(), X509_get0_notAfter(&certificate)) != 1) return absl::InfinitePast();
  return absl::UnixEpoch() + absl::Hours(24) * days + absl::Seconds(seconds);
}

}  // namespace

absl::Time EndOfChain(const std::string& pem) {
  absl::Time end = absl::InfiniteFuture();
  const bssl::UniquePtr<BIO> text(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  while (text != nullptr) {
    const bssl::UniquePtr<X509> next(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
    if (next == nullptr) break;
    end = std::min(end, EndOf(*next));
  }
  ERR_clear_error();
  return end;
}

}  // namespace keyferry::metrics
