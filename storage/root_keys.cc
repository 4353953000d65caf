#include "storage/root_keys.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/format.h"
#include "storage/status_macros.h"

namespace keyferry::storage {
namespace {

std::string AssociatedData(absl::string_view engine_key) {
  return absl::StrCat(absl::string_view(&kSealedFormat, 1), engine_key);
}

}  // namespace

absl::StatusOr<std::unique_ptr<const RootKeys>> RootKeys::Make(SecretBytes root_key) {
  if (root_key.size() != Aead::kKeySize) return absl::InvalidArgumentError("a root key is 32 bytes");
  ASSIGN_OR_RETURN(std::unique_ptr<const Aead> aead, Aead::Create(DeriveKey(root_key, kRootSealLabel)));
  return std::unique_ptr<const RootKeys>(new RootKeys(std::move(root_key), std::move(aead)));
}

RootKeys::RootKeys(SecretBytes root_key, std::unique_ptr<const Aead> aead)
    : root_key_(std::move(root_key)), aead_(std::move(aead)), org_tag_(DeriveKey(root_key_, kOrgTagLabel)) {}

Prf::Tag RootKeys::OrgTag(absl::string_view org) const { return org_tag_.Compute({org}); }

std::string RootKeys::Seal(absl::string_view engine_key, const SecretBytes& plaintext) const {
  std::string out;
  out.reserve(1 + plaintext.size() + Aead::kOverhead);
  out.push_back(kSealedFormat);
  aead_->SealTo(plaintext.Expose(), AssociatedData(engine_key), out);
  return out;
}

absl::StatusOr<SecretBytes> RootKeys::Open(absl::string_view engine_key, absl::string_view sealed) const {
  if (sealed.empty() || sealed[0] != kSealedFormat) return absl::DataLossError("a sealed entry has an unknown form");
  return aead_->Open(sealed.substr(1), AssociatedData(engine_key));
}

}  // namespace keyferry::storage
