#include "server/dev/certificates.h"

#include <array>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "openssl/bio.h"
#include "openssl/bn.h"
#include "openssl/ec.h"
#include "openssl/ec_key.h"
#include "openssl/evp.h"
#include "openssl/nid.h"
#include "openssl/pem.h"
#include "openssl/x509.h"
#include "openssl/x509v3.h"
#include "server/files.h"
#include "server/rpc/pem_files.h"
#include "server/status_macros.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {
namespace {

constexpr absl::Duration kDay = absl::Hours(24);

struct Identity {
  bssl::UniquePtr<X509> certificate;
  bssl::UniquePtr<EVP_PKEY> key;
};

absl::Status Failed(absl::string_view what) {
  return absl::InternalError(absl::StrCat("the development certificates cannot be made: ", what));
}

bssl::UniquePtr<EVP_PKEY> MakeKey() {
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (!ec || !key || !EC_KEY_generate_key(ec.get()) || !EVP_PKEY_set1_EC_KEY(key.get(), ec.get())) return nullptr;
  return key;
}

bool AddExtension(X509* certificate, X509* issuer, int nid, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  bssl::UniquePtr<X509_EXTENSION> extension(X509V3_EXT_nconf_nid(nullptr, &context, nid, value));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool SetRandomSerial(X509* certificate) {
  std::array<uint8_t, 16> bytes;
  storage::RandomBytes(absl::MakeSpan(bytes));
  bytes[0] = static_cast<uint8_t>((bytes[0] & 0x7f) | 0x40);  // Positive and of full length.
  bssl::UniquePtr<BIGNUM> number(BN_bin2bn(bytes.data(), bytes.size(), nullptr));
  return number != nullptr && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

// A certificate that is not signed yet; `issuer` is itself for a CA.
bssl::UniquePtr<X509> MakeUnsigned(const char* common_name, EVP_PKEY* key, absl::Time now, absl::Duration lifetime) {
  bssl::UniquePtr<X509> certificate(X509_new());
  if (!certificate || !X509_set_version(certificate.get(), X509_VERSION_3) || !SetRandomSerial(certificate.get()) ||
      !X509_set_pubkey(certificate.get(), key)) {
    return nullptr;
  }
  // A clock that is a little behind must not refuse it.
  if (!ASN1_TIME_set(X509_getm_notBefore(certificate.get()), absl::ToTimeT(now - absl::Hours(1))) ||
      !ASN1_TIME_set(X509_getm_notAfter(certificate.get()), absl::ToTimeT(now + lifetime)) ||
      !X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                                  reinterpret_cast<const uint8_t*>(common_name), -1, -1, 0)) {
    return nullptr;
  }
  return certificate;
}

absl::StatusOr<Identity> MakeCa(absl::Time now) {
  Identity ca;
  ca.key = MakeKey();
  if (ca.key == nullptr) return Failed("key");
  ca.certificate = MakeUnsigned("Keyferry development CA", ca.key.get(), now, 3650 * kDay);
  X509* const x509 = ca.certificate.get();
  if (x509 == nullptr || !X509_set_issuer_name(x509, X509_get_subject_name(x509)) ||
      !AddExtension(x509, x509, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !AddExtension(x509, x509, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !AddExtension(x509, x509, NID_subject_key_identifier, "hash") ||
      X509_sign(x509, ca.key.get(), EVP_sha256()) <= 0) {
    return Failed("CA");
  }
  return ca;
}

absl::StatusOr<Identity> MakeServerIdentity(const Identity& ca, absl::Time now) {
  Identity server;
  server.key = MakeKey();
  if (server.key == nullptr) return Failed("key");
  server.certificate = MakeUnsigned("keyferryd", server.key.get(), now, 90 * kDay);
  X509* const x509 = server.certificate.get();
  X509* const issuer = ca.certificate.get();
  if (x509 == nullptr || !X509_set_issuer_name(x509, X509_get_subject_name(issuer)) ||
      !AddExtension(x509, issuer, NID_basic_constraints, "critical,CA:FALSE") ||
      !AddExtension(x509, issuer, NID_key_usage, "critical,digitalSignature") ||
      !AddExtension(x509, issuer, NID_ext_key_usage, "serverAuth") ||
      !AddExtension(x509, issuer, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1") ||
      !AddExtension(x509, issuer, NID_subject_key_identifier, "hash") ||
      !AddExtension(x509, issuer, NID_authority_key_identifier, "keyid") ||
      X509_sign(x509, ca.key.get(), EVP_sha256()) <= 0) {
    return Failed("server certificate");
  }
  return server;
}

absl::Status WriteIdentity(const std::string& stem, const Identity& identity) {
  bssl::UniquePtr<BIO> certificate(BIO_new(BIO_s_mem()));
  bssl::UniquePtr<BIO> key(BIO_new(BIO_s_mem()));
  if (!certificate || !key || !PEM_write_bio_X509(certificate.get(), identity.certificate.get()) ||
      !PEM_write_bio_PrivateKey(key.get(), identity.key.get(), nullptr, nullptr, 0, nullptr, nullptr)) {
    return Failed("PEM");
  }
  const auto text = [](BIO* bio) {
    const uint8_t* data = nullptr;
    size_t size = 0;
    BIO_mem_contents(bio, &data, &size);
    return absl::string_view(reinterpret_cast<const char*>(data), size);
  };
  // The key first: a certificate without its key is found and replaced at the next start.
  RETURN_IF_ERROR(WritePrivateFile(absl::StrCat(stem, ".key"), text(key.get())));
  return WritePrivateFile(absl::StrCat(stem, ".pem"), text(certificate.get()));
}

// The identity, or an empty one if there is none that can be used until `needed_until`.
Identity ReadIdentity(const std::string& stem, absl::Time needed_until) {
  const std::string cert_file = absl::StrCat(stem, ".pem");
  const std::string key_file = absl::StrCat(stem, ".key");
  Identity identity;
  if (!CheckCertificateFiles(cert_file, key_file).ok()) return identity;
  bssl::UniquePtr<BIO> certificate(BIO_new_file(cert_file.c_str(), "r"));
  bssl::UniquePtr<BIO> key(BIO_new_file(key_file.c_str(), "r"));
  if (!certificate || !key) return identity;
  identity.certificate.reset(PEM_read_bio_X509(certificate.get(), nullptr, nullptr, nullptr));
  identity.key.reset(PEM_read_bio_PrivateKey(key.get(), nullptr, nullptr, nullptr));
  time_t until = absl::ToTimeT(needed_until);
  if (!identity.certificate || !identity.key ||
      X509_cmp_time(X509_get0_notAfter(identity.certificate.get()), &until) <= 0) {
    return Identity();
  }
  return identity;
}

}  // namespace

absl::Status EnsureDevCertificates(const std::string& directory, absl::Time now) {
  const std::string ca_stem = absl::StrCat(directory, "/ca");
  const std::string server_stem = absl::StrCat(directory, "/server");
  Identity ca = ReadIdentity(ca_stem, now + 365 * kDay);
  if (ca.certificate == nullptr) {
    ASSIGN_OR_RETURN(ca, MakeCa(now));
    RETURN_IF_ERROR(WriteIdentity(ca_stem, ca));
  }
  const Identity server = ReadIdentity(server_stem, now + 30 * kDay);
  if (server.certificate != nullptr && X509_verify(server.certificate.get(), ca.key.get()) == 1) {
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const Identity made, MakeServerIdentity(ca, now));
  return WriteIdentity(server_stem, made);
}

}  // namespace keyferry::server
