#include <cstdint>

#include "openssl/bn.h"
#include "openssl/bytestring.h"
#include "openssl/curve25519.h"
#include "openssl/ec.h"
#include "openssl/ec_key.h"
#include "openssl/ecdsa.h"
#include "openssl/err.h"
#include "openssl/evp.h"
#include "openssl/nid.h"
#include "openssl/rsa.h"
#include "openssl/sha.h"
#include "server/identity/jwt/jwk_set.h"

namespace keyferry::server {
namespace {

constexpr size_t kNumberBytes = 32;

const uint8_t* Bytes(absl::string_view text) { return reinterpret_cast<const uint8_t*>(text.data()); }

bssl::UniquePtr<BIGNUM> Number(absl::string_view big_endian) {
  return bssl::UniquePtr<BIGNUM>(BN_bin2bn(Bytes(big_endian), big_endian.size(), nullptr));
}

// What a failed operation leaves behind must not be found by the next one of TLS on this thread.
struct ErrorsForgotten {
  ~ErrorsForgotten() { ERR_clear_error(); }
};

// R and S, 32 bytes each (RFC 7518, section 3.4), as the DER that BoringSSL reads.
bool VerifyEcdsa(EVP_PKEY* key, absl::string_view message, absl::string_view signature) {
  if (signature.size() != 2 * kNumberBytes) return false;
  bssl::UniquePtr<ECDSA_SIG> numbers(ECDSA_SIG_new());
  bssl::UniquePtr<BIGNUM> r = Number(signature.substr(0, kNumberBytes));
  bssl::UniquePtr<BIGNUM> s = Number(signature.substr(kNumberBytes));
  if (numbers == nullptr || r == nullptr || s == nullptr ||
      ECDSA_SIG_set0(numbers.get(), r.release(), s.release()) != 1) {
    return false;
  }
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(Bytes(message), message.size(), digest);
  return ECDSA_do_verify(digest, sizeof(digest), numbers.get(), EVP_PKEY_get0_EC_KEY(key)) == 1;
}

}  // namespace

VerificationKey::VerificationKey(JwtAlgorithm algorithm, bssl::UniquePtr<EVP_PKEY> key)
    : algorithm_(algorithm), key_(std::move(key)) {
  bssl::ScopedCBB out;
  uint8_t digest[SHA256_DIGEST_LENGTH] = {};
  if (CBB_init(out.get(), 512) == 1 && EVP_marshal_public_key(out.get(), key_.get()) == 1) {
    CBB_flush(out.get());
    SHA256(CBB_data(out.get()), CBB_len(out.get()), digest);
  }
  fingerprint_.assign(reinterpret_cast<const char*>(digest), sizeof(digest));
}

VerificationKey::~VerificationKey() = default;

std::unique_ptr<const VerificationKey> VerificationKey::Rsa(absl::string_view n, absl::string_view e) {
  constexpr unsigned kMinBits = 2048;
  constexpr unsigned kMaxBits = 8192;
  const ErrorsForgotten forgotten;
  if (n.size() > kMaxBits / 8 || e.empty() || e.size() > 4) return nullptr;
  bssl::UniquePtr<BIGNUM> modulus = Number(n);
  bssl::UniquePtr<BIGNUM> exponent = Number(e);
  if (modulus == nullptr || exponent == nullptr || BN_num_bits(modulus.get()) < kMinBits ||
      BN_is_odd(modulus.get()) != 1 || BN_is_odd(exponent.get()) != 1 || BN_is_one(exponent.get())) {
    return nullptr;
  }
  bssl::UniquePtr<RSA> rsa(RSA_new());
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (rsa == nullptr || key == nullptr ||
      RSA_set0_key(rsa.get(), modulus.release(), exponent.release(), /*d=*/nullptr) != 1 ||
      EVP_PKEY_set1_RSA(key.get(), rsa.get()) != 1) {
    return nullptr;
  }
  return std::unique_ptr<const VerificationKey>(new VerificationKey(JwtAlgorithm::kRs256, std::move(key)));
}

std::unique_ptr<const VerificationKey> VerificationKey::P256(absl::string_view x, absl::string_view y) {
  const ErrorsForgotten forgotten;
  if (x.size() != kNumberBytes || y.size() != kNumberBytes) return nullptr;
  const bssl::UniquePtr<BIGNUM> x_number = Number(x);
  const bssl::UniquePtr<BIGNUM> y_number = Number(y);
  bssl::UniquePtr<EC_KEY> point(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  // This says no to a point that is not on the curve.
  if (x_number == nullptr || y_number == nullptr || point == nullptr || key == nullptr ||
      EC_KEY_set_public_key_affine_coordinates(point.get(), x_number.get(), y_number.get()) != 1 ||
      EVP_PKEY_set1_EC_KEY(key.get(), point.get()) != 1) {
    return nullptr;
  }
  return std::unique_ptr<const VerificationKey>(new VerificationKey(JwtAlgorithm::kEs256, std::move(key)));
}

std::unique_ptr<const VerificationKey> VerificationKey::Ed25519(absl::string_view x) {
  const ErrorsForgotten forgotten;
  if (x.size() != ED25519_PUBLIC_KEY_LEN) return nullptr;
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, Bytes(x), x.size()));
  if (key == nullptr) return nullptr;
  return std::unique_ptr<const VerificationKey>(new VerificationKey(JwtAlgorithm::kEdDsa, std::move(key)));
}

bool VerificationKey::Verify(absl::string_view message, absl::string_view signature) const {
  const ErrorsForgotten forgotten;
  if (algorithm_ == JwtAlgorithm::kEs256) return VerifyEcdsa(key_.get(), message, signature);
  const EVP_MD* const digest = algorithm_ == JwtAlgorithm::kRs256 ? EVP_sha256() : nullptr;
  bssl::ScopedEVP_MD_CTX context;
  EVP_PKEY_CTX* options = nullptr;
  if (EVP_DigestVerifyInit(context.get(), &options, digest, nullptr, key_.get()) != 1) return false;
  if (algorithm_ == JwtAlgorithm::kRs256 && EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PADDING) != 1) return false;
  return EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(message), message.size()) == 1;
}

}  // namespace keyferry::server
