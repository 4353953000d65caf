#include "storage/crypto/signing_key.h"

#include <cstdint>
#include <cstdlib>
#include <utility>

#include "openssl/bn.h"
#include "openssl/bytestring.h"
#include "openssl/ec.h"
#include "openssl/ec_key.h"
#include "openssl/ecdsa.h"
#include "openssl/err.h"
#include "openssl/evp.h"
#include "openssl/mem.h"
#include "openssl/nid.h"
#include "openssl/rsa.h"

namespace keyferry::storage {
namespace {

constexpr int kRsaBits = 2048;
constexpr int kMaxRsaBits = 4096;
constexpr size_t kP256Bytes = 32;

const uint8_t* Bytes(absl::string_view text) { return reinterpret_cast<const uint8_t*>(text.data()); }
uint8_t* Bytes(std::string& text) { return reinterpret_cast<uint8_t*>(&text[0]); }

// Failures leave entries in a queue of the thread, which gRPC and others read.
void ForgetErrors() { ERR_clear_error(); }

bssl::UniquePtr<BIGNUM> Number(absl::string_view bytes) {
  return bssl::UniquePtr<BIGNUM>(BN_bin2bn(Bytes(bytes), bytes.size(), nullptr));
}

std::string NumberBytes(const BIGNUM* number, size_t size) {
  std::string bytes(size, '\0');
  if (BN_bn2bin_padded(Bytes(bytes), size, number) != 1) std::abort();
  return bytes;
}

absl::StatusOr<PublicKeyNumbers> NumbersOf(const EVP_PKEY* key) {
  PublicKeyNumbers numbers;
  if (const RSA* rsa = EVP_PKEY_get0_RSA(key)) {
    numbers.n = NumberBytes(RSA_get0_n(rsa), BN_num_bytes(RSA_get0_n(rsa)));
    numbers.e = NumberBytes(RSA_get0_e(rsa), BN_num_bytes(RSA_get0_e(rsa)));
    return numbers;
  }
  const EC_KEY* ec = EVP_PKEY_get0_EC_KEY(key);
  bssl::UniquePtr<BIGNUM> x(BN_new()), y(BN_new());
  if (ec == nullptr || EC_POINT_get_affine_coordinates_GFp(EC_KEY_get0_group(ec), EC_KEY_get0_public_key(ec), x.get(),
                                                           y.get(), nullptr) != 1) {
    return absl::InvalidArgumentError("the private key has no public key");
  }
  numbers.x = NumberBytes(x.get(), kP256Bytes);
  numbers.y = NumberBytes(y.get(), kP256Bytes);
  return numbers;
}

bssl::UniquePtr<EVP_PKEY> PublicKey(const PublicKeyNumbers& numbers) {
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (numbers.rsa()) {
    bssl::UniquePtr<RSA> rsa(RSA_new());
    bssl::UniquePtr<BIGNUM> n = Number(numbers.n), e = Number(numbers.e);
    if (RSA_set0_key(rsa.get(), n.get(), e.get(), nullptr) != 1) return nullptr;
    n.release();
    e.release();
    const unsigned bits = RSA_bits(rsa.get());
    if (bits < kRsaBits || bits > kMaxRsaBits || EVP_PKEY_set1_RSA(key.get(), rsa.get()) != 1) return nullptr;
    return key;
  }
  if (numbers.x.size() != kP256Bytes || numbers.y.size() != kP256Bytes) return nullptr;
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  // Refuses points that are not on the curve.
  if (EC_KEY_set_public_key_affine_coordinates(ec.get(), Number(numbers.x).get(), Number(numbers.y).get()) != 1 ||
      EVP_PKEY_set1_EC_KEY(key.get(), ec.get()) != 1) {
    return nullptr;
  }
  return key;
}

// The context has the padding of `algorithm` set.
bool SetPadding(EVP_PKEY_CTX* context, SignatureAlgorithm algorithm) {
  return algorithm != SignatureAlgorithm::kPs256 ||
         (EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
          // The salt is as long as the digest.
          EVP_PKEY_CTX_set_rsa_pss_saltlen(context, -1) == 1);
}

// ECDSA's DER as R and S of 32 bytes each, and back.
std::string FixedFromDer(const std::string& der) {
  bssl::UniquePtr<ECDSA_SIG> parsed(ECDSA_SIG_from_bytes(Bytes(der), der.size()));
  if (parsed == nullptr) std::abort();
  const BIGNUM *r, *s;
  ECDSA_SIG_get0(parsed.get(), &r, &s);
  return NumberBytes(r, kP256Bytes) + NumberBytes(s, kP256Bytes);
}

bool DerFromFixed(absl::string_view fixed, std::string* der) {
  if (fixed.size() != 2 * kP256Bytes) return false;
  bssl::UniquePtr<ECDSA_SIG> signature(ECDSA_SIG_new());
  bssl::UniquePtr<BIGNUM> r = Number(fixed.substr(0, kP256Bytes)), s = Number(fixed.substr(kP256Bytes));
  if (ECDSA_SIG_set0(signature.get(), r.get(), s.get()) != 1) return false;
  r.release();
  s.release();
  uint8_t* bytes = nullptr;
  size_t size = 0;
  if (ECDSA_SIG_to_bytes(&bytes, &size, signature.get()) != 1) return false;
  der->assign(reinterpret_cast<const char*>(bytes), size);
  OPENSSL_free(bytes);
  return true;
}

class BoringSigningKey final : public SigningKey {
 public:
  BoringSigningKey(bssl::UniquePtr<EVP_PKEY> key, PublicKeyNumbers numbers)
      : key_(std::move(key)), numbers_(std::move(numbers)) {}

  bool CanSign(SignatureAlgorithm algorithm) const override {
    return (algorithm != SignatureAlgorithm::kEs256) == numbers_.rsa();
  }
  const PublicKeyNumbers& public_numbers() const override { return numbers_; }

  absl::StatusOr<std::string> Sign(SignatureAlgorithm algorithm, absl::string_view message) const override {
    if (!CanSign(algorithm)) return absl::InvalidArgumentError("the signing key is not one of this algorithm");
    bssl::ScopedEVP_MD_CTX context;
    EVP_PKEY_CTX* padding = nullptr;
    size_t size = 0;
    if (EVP_DigestSignInit(context.get(), &padding, EVP_sha256(), nullptr, key_.get()) != 1 ||
        !SetPadding(padding, algorithm) ||
        EVP_DigestSign(context.get(), nullptr, &size, Bytes(message), message.size()) != 1) {
      std::abort();
    }
    std::string signature(size, '\0');
    if (EVP_DigestSign(context.get(), Bytes(signature), &size, Bytes(message), message.size()) != 1) std::abort();
    signature.resize(size);
    return algorithm == SignatureAlgorithm::kEs256 ? FixedFromDer(signature) : signature;
  }

 private:
  const bssl::UniquePtr<EVP_PKEY> key_;
  const PublicKeyNumbers numbers_;
};

bssl::UniquePtr<EVP_PKEY> GenerateKey(SignatureAlgorithm algorithm) {
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (algorithm == SignatureAlgorithm::kEs256) {
    bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
    if (EC_KEY_generate_key(ec.get()) != 1 || EVP_PKEY_set1_EC_KEY(key.get(), ec.get()) != 1) std::abort();
    return key;
  }
  bssl::UniquePtr<RSA> rsa(RSA_new());
  bssl::UniquePtr<BIGNUM> e(BN_new());
  if (BN_set_word(e.get(), RSA_F4) != 1 || RSA_generate_key_ex(rsa.get(), kRsaBits, e.get(), nullptr) != 1 ||
      EVP_PKEY_set1_RSA(key.get(), rsa.get()) != 1) {
    std::abort();
  }
  return key;
}

}  // namespace

SecretBytes SigningKey::Generate(SignatureAlgorithm algorithm) {
  const bssl::UniquePtr<EVP_PKEY> key = GenerateKey(algorithm);
  bssl::ScopedCBB out;
  uint8_t* bytes = nullptr;
  size_t size = 0;
  if (CBB_init(out.get(), 2048) != 1 || EVP_marshal_private_key(out.get(), key.get()) != 1 ||
      CBB_finish(out.get(), &bytes, &size) != 1) {
    std::abort();
  }
  SecretBytes der = SecretBytes::CopyOf(absl::string_view(reinterpret_cast<const char*>(bytes), size));
  WipeMemory(bytes, size);
  OPENSSL_free(bytes);
  return der;
}

absl::StatusOr<std::unique_ptr<const SigningKey>> SigningKey::FromPkcs8(absl::string_view der) {
  CBS bytes;
  CBS_init(&bytes, Bytes(der), der.size());
  bssl::UniquePtr<EVP_PKEY> key(EVP_parse_private_key(&bytes));
  ForgetErrors();
  const absl::Status wrong =
      absl::InvalidArgumentError("not a PKCS #8 private key of RSA (2048 to 4096 bits) or of the curve P-256");
  if (key == nullptr || CBS_len(&bytes) != 0) return wrong;
  if (const RSA* rsa = EVP_PKEY_get0_RSA(key.get())) {
    if (RSA_bits(rsa) < kRsaBits || RSA_bits(rsa) > kMaxRsaBits || RSA_check_key(rsa) != 1) {
      ForgetErrors();
      return wrong;
    }
  } else {
    const EC_KEY* ec = EVP_PKEY_get0_EC_KEY(key.get());
    if (ec == nullptr || EC_GROUP_get_curve_name(EC_KEY_get0_group(ec)) != NID_X9_62_prime256v1 ||
        EC_KEY_check_key(ec) != 1) {
      ForgetErrors();
      return wrong;
    }
  }
  absl::StatusOr<PublicKeyNumbers> numbers = NumbersOf(key.get());
  if (!numbers.ok()) return numbers.status();
  return std::make_unique<const BoringSigningKey>(std::move(key), *std::move(numbers));
}

bool VerifySignature(const PublicKeyNumbers& key, SignatureAlgorithm algorithm, absl::string_view message,
                     absl::string_view signature) {
  if ((algorithm != SignatureAlgorithm::kEs256) != key.rsa()) return false;
  const bssl::UniquePtr<EVP_PKEY> parsed = PublicKey(key);
  std::string der;
  if (algorithm == SignatureAlgorithm::kEs256) {
    if (!DerFromFixed(signature, &der)) return false;
    signature = der;
  }
  bssl::ScopedEVP_MD_CTX context;
  EVP_PKEY_CTX* padding = nullptr;
  const bool valid =
      parsed != nullptr && EVP_DigestVerifyInit(context.get(), &padding, EVP_sha256(), nullptr, parsed.get()) == 1 &&
      SetPadding(padding, algorithm) &&
      EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(message), message.size()) == 1;
  ForgetErrors();
  return valid;
}

}  // namespace keyferry::storage
