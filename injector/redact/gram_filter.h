#ifndef KEYFERRY_INJECTOR_REDACT_GRAM_FILTER_H_
#define KEYFERRY_INJECTOR_REDACT_GRAM_FILTER_H_

#include <string.h>

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "injector/redact/wiped_vector.h"

namespace keyferry::injector {

// Four bytes of text, hashed without regard to the case of ASCII letters.
inline constexpr size_t kGramBytes = 4;
inline uint32_t GramHash(const char* text) {
  uint32_t gram;
  memcpy(&gram, text, sizeof(gram));
  return (gram | 0x20202020u) * 0x9e3779b1u;
}

// Finds where a text may hold one of the strings whose first bytes it was given, without false negatives. Every such
// string has at least kPrefixBytes bytes, so one of every kStride grams of a text that holds it is among the grams of
// its prefix: only those are looked up, in a bitmap that fits the first-level cache.
class GramFilter {
 public:
  static constexpr size_t kPrefixBytes = 8;
  static constexpr size_t kStride = kPrefixBytes - kGramBytes + 1;

  // The distinct hashes of grams of all prefixes.
  void Build(const WipedVector<uint32_t>& hashes);

  // A place p >= from + kStride - 1 such that no string begins in [from, p - kStride], and one may begin in
  // [p - kStride + 1, p]; or, if the text has no such gram, the first place whose gram was not looked up because the
  // text ends within it.
  size_t NextHit(absl::string_view text, size_t from) const;

  size_t memory_bytes() const { return bits_.capacity(); }

 private:
  bool Has(const char* text) const {
    const uint32_t bit = GramHash(text) >> shift_;
    return bits_[bit >> 3] >> (bit & 7) & 1;
  }

  WipedVector<uint8_t> bits_;
  int shift_ = 0;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_REDACT_GRAM_FILTER_H_
