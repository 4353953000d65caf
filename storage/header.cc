#include "storage/header.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/format.h"
#include "storage/status_macros.h"

namespace keyferry::storage {
namespace {

constexpr size_t kFixedSize = 8 + 4 + kStoreIdSize + 2;

std::string BoundPart(absl::string_view store_id) {
  std::string out(kHeaderMagic);
  AppendUint32(kFormatVersion, out);
  absl::StrAppend(&out, store_id);
  return out;
}

}  // namespace

std::string HeaderKey() { return SpaceKey(Space::kHeader, ""); }

std::string StoreHeader::Serialize() const {
  std::string out = BoundPart(store_id);
  AppendUint16(static_cast<uint16_t>(wrapped_root_key.size()), out);
  absl::StrAppend(&out, wrapped_root_key);
  return out;
}

absl::StatusOr<StoreHeader> StoreHeader::Parse(absl::string_view bytes) {
  if (bytes.size() < kFixedSize || !absl::StartsWith(bytes, kHeaderMagic)) {
    return absl::DataLossError("the store's header is damaged: restore a backup");
  }
  const uint64_t version = ReadUint(bytes.substr(8), 4);
  if (version != kFormatVersion) {
    return absl::FailedPreconditionError(absl::StrCat("the store has format version ", version,
                                                      ", this program knows version ", kFormatVersion,
                                                      " only: run the release that wrote it, or a newer one"));
  }
  StoreHeader header;
  header.store_id = std::string(bytes.substr(12, kStoreIdSize));
  header.wrapped_root_key = std::string(bytes.substr(kFixedSize));
  if (header.wrapped_root_key.size() != ReadUint(bytes.substr(12 + kStoreIdSize), 2)) {
    return absl::DataLossError("the store's header is truncated: restore a backup");
  }
  return header;
}

absl::StatusOr<StoreHeader> WrapHeader(const KeyProvider& key_provider, absl::string_view store_id,
                                       const SecretBytes& root_key) {
  StoreHeader header;
  header.store_id = std::string(store_id);
  ASSIGN_OR_RETURN(header.wrapped_root_key, key_provider.Wrap(root_key, BoundPart(store_id)));
  if (header.wrapped_root_key.size() > UINT16_MAX) return absl::InvalidArgumentError("a wrapped root key is too long");
  return header;
}

absl::StatusOr<SecretBytes> UnwrapHeader(const KeyProvider& key_provider, const StoreHeader& header) {
  absl::StatusOr<SecretBytes> root_key = key_provider.Unwrap(header.wrapped_root_key, BoundPart(header.store_id));
  if (!absl::IsPermissionDenied(root_key.status())) return root_key;
  return absl::PermissionDeniedError(absl::StrCat(
      "the key-encryption key (", key_provider.Description(), ") does not open this store: ",
      root_key.status().message(), ". Start with the KEK that the store was made with or last rotated to"));
}

}  // namespace keyferry::storage
