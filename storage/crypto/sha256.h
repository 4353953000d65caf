#ifndef KEYFERRY_STORAGE_CRYPTO_SHA256_H_
#define KEYFERRY_STORAGE_CRYPTO_SHA256_H_

#include <array>
#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace keyferry::storage {

constexpr size_t kSha256Size = 32;
using Sha256Digest = std::array<char, kSha256Size>;

// SHA-256 (FIPS 180-4) of the parts, one after the other.
Sha256Digest Sha256(absl::Span<const absl::string_view> parts);

inline absl::string_view View(const Sha256Digest& digest) { return absl::string_view(digest.data(), digest.size()); }

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_CRYPTO_SHA256_H_
