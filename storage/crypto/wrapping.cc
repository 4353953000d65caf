#include "storage/crypto/wrapping.h"

#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/crypto/aead.h"
#include "storage/status_macros.h"

namespace keyferry::storage {
namespace {

constexpr absl::string_view kMagic = "KFWR";
constexpr char kWrapFormat = 1;
constexpr size_t kFixedSize = 7;

absl::string_view KindName(WrapKind kind) {
  switch (kind) {
    case WrapKind::kFile:
      return "a KEK file";
    case WrapKind::kPassphrase:
      return "a passphrase";
    case WrapKind::kFake:
      return "a test's KEK";
  }
  return "an unknown kind of KEK";
}

}  // namespace

absl::StatusOr<std::string> WrapWith(const SecretBytes& kek, WrapKind kind, absl::string_view parameters,
                                     const SecretBytes& root_key, absl::string_view associated_data) {
  ASSIGN_OR_RETURN(std::unique_ptr<const Aead> aead, Aead::Create(kek));
  std::string wrapped = absl::StrCat(kMagic, std::string(1, kWrapFormat), std::string(1, static_cast<char>(kind)),
                                     std::string(1, static_cast<char>(parameters.size())), parameters);
  const std::string bound = absl::StrCat(wrapped, associated_data);
  aead->SealTo(root_key.Expose(), bound, wrapped);
  return wrapped;
}

absl::StatusOr<WrappedParts> ParseWrapped(absl::string_view wrapped, WrapKind expected) {
  if (wrapped.size() < kFixedSize || !absl::StartsWith(wrapped, kMagic) || wrapped[4] != kWrapFormat) {
    return absl::PermissionDeniedError("the wrapped root key is damaged or of an unknown form");
  }
  const WrapKind kind = static_cast<WrapKind>(wrapped[5]);
  const size_t header_size = kFixedSize + static_cast<uint8_t>(wrapped[6]);
  if (wrapped.size() < header_size + Aead::kOverhead) {
    return absl::PermissionDeniedError("the wrapped root key is truncated");
  }
  if (kind != expected) {
    return absl::PermissionDeniedError(
        absl::StrCat("the root key is wrapped by ", KindName(kind), ", not by ", KindName(expected)));
  }
  WrappedParts parts;
  parts.kind = kind;
  parts.parameters = wrapped.substr(kFixedSize, header_size - kFixedSize);
  parts.sealed = wrapped.substr(header_size);
  parts.header = wrapped.substr(0, header_size);
  return parts;
}

absl::StatusOr<SecretBytes> UnwrapWith(const SecretBytes& kek, const WrappedParts& parts,
                                       absl::string_view associated_data) {
  ASSIGN_OR_RETURN(std::unique_ptr<const Aead> aead, Aead::Create(kek));
  absl::StatusOr<SecretBytes> root_key = aead->Open(parts.sealed, absl::StrCat(parts.header, associated_data));
  if (root_key.ok()) return root_key;
  return absl::PermissionDeniedError("this KEK did not wrap the root key, or the wrapped root key was changed");
}

}  // namespace keyferry::storage
