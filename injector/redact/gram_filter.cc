#include "injector/redact/gram_filter.h"

#include <algorithm>

namespace keyferry::injector {
namespace {

// 512 bytes to 64 KiB, such that about one gram in 64 passes by chance.
constexpr int kMinBits = 12;
constexpr int kMaxBits = 19;
constexpr size_t kBitsPerHash = 64;

}  // namespace

void GramFilter::Build(const WipedVector<uint32_t>& hashes) {
  int bits = kMinBits;
  while (bits < kMaxBits && (size_t{1} << bits) < hashes.size() * kBitsPerHash) ++bits;
  shift_ = 32 - bits;
  bits_.assign((size_t{1} << bits) / 8, 0);
  for (const uint32_t hash : hashes) {
    const uint32_t bit = hash >> shift_;
    bits_[bit >> 3] = static_cast<uint8_t>(bits_[bit >> 3] | 1 << (bit & 7));
  }
}

size_t GramFilter::NextHit(absl::string_view text, size_t from) const {
  size_t place = from + kStride - 1;
  const uint8_t* const bits = bits_.data();
  const int shift = shift_;
  const auto look = [bits, shift, &text](size_t at) {
    const uint32_t bit = GramHash(text.data() + at) >> shift;
    return bits[bit >> 3] >> (bit & 7);
  };
  // Four at a time, so that the branch is taken once for all of them.
  while (place + 3 * kStride + kGramBytes <= text.size()) {
    if ((look(place) | look(place + kStride) | look(place + 2 * kStride) | look(place + 3 * kStride)) & 1) break;
    place += 4 * kStride;
  }
  while (place + kGramBytes <= text.size() && !Has(text.data() + place)) place += kStride;
  return place;
}

}  // namespace keyferry::injector
