#ifndef KEYFERRY_STORAGE_CRYPTO_TESTING_KEY_PROVIDER_H_
#define KEYFERRY_STORAGE_CRYPTO_TESTING_KEY_PROVIDER_H_

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/crypto/key_provider.h"
#include "storage/crypto/wrapping.h"

namespace keyferry::storage {

// Testonly. A KEK derived from a number: two with the same number unwrap each other's keys. Really seals.
class FakeKeyProvider : public KeyProvider {
 public:
  explicit FakeKeyProvider(uint8_t number) : number_(number), kek_(32) { kek_.ExposeMutable()[0] = number; }
  std::string Description() const override { return absl::StrCat("fake KEK ", number_); }
  absl::StatusOr<std::string> Wrap(const SecretBytes& root_key, absl::string_view associated_data) const override {
    return WrapWith(kek_, WrapKind::kFake, /*parameters=*/"", root_key, associated_data);
  }
  absl::StatusOr<SecretBytes> Unwrap(absl::string_view wrapped, absl::string_view associated_data) const override {
    absl::StatusOr<WrappedParts> parts = ParseWrapped(wrapped, WrapKind::kFake);
    if (!parts.ok()) return parts.status();
    return UnwrapWith(kek_, *parts, associated_data);
  }

 private:
  const uint8_t number_;
  SecretBytes kek_;
};

// Testonly. Answers every call with the same error.
class FailingKeyProvider : public KeyProvider {
 public:
  explicit FailingKeyProvider(absl::Status error) : error_(std::move(error)) {}
  std::string Description() const override { return "failing KEK"; }
  absl::StatusOr<std::string> Wrap(const SecretBytes&, absl::string_view) const override { return error_; }
  absl::StatusOr<SecretBytes> Unwrap(absl::string_view, absl::string_view) const override { return error_; }

 private:
  const absl::Status error_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_CRYPTO_TESTING_KEY_PROVIDER_H_
