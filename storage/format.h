#ifndef KEYFERRY_STORAGE_FORMAT_H_
#define KEYFERRY_STORAGE_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "storage/crypto/aead.h"
#include "storage/crypto/prf.h"

namespace keyferry::storage {

// Constants of the persisted form, shared by all that writes and reads it. storage/FORMAT.md specifies the bytes.
// Never change one without a new format version.

// Version of the whole store, in the header.
constexpr uint32_t kFormatVersion = 1;
// First byte of every sealed value.
constexpr char kSealedFormat = 1;

// First byte of every engine key.
enum class Space : char {
  kHeader = 0,        // one entry
  kKeyring = 1,       // | org tag
  kSealCount = 2,     // | org tag
  kPurgeMarker = 3,   // | 16 random bytes
  kDestroyedOrg = 4,  // | org tag
  kRecord = 16,       // | org tag | table | parent tag | id tag
};

constexpr absl::string_view kHeaderMagic = "KEYFERRY";
constexpr size_t kStoreIdSize = 16;

constexpr size_t kTagSize = Prf::kTagSize;
constexpr size_t kOrgPrefixSize = 1 + kTagSize;
constexpr size_t kTablePrefixSize = kOrgPrefixSize + 1;
constexpr size_t kParentPrefixSize = kTablePrefixSize + kTagSize;
constexpr size_t kRecordKeySize = kParentPrefixSize + kTagSize;

// format (1) | key id (4) | version (8), before nonce, ciphertext and tag.
constexpr size_t kRecordHeaderSize = 13;
constexpr size_t kSealedRecordOverhead = kRecordHeaderSize + Aead::kOverhead;

// Labels of what is derived from the root key, and first bytes of what is hashed with a PRF key.
constexpr absl::string_view kRootSealLabel = "keyferry/1/root-seal";
constexpr absl::string_view kOrgTagLabel = "keyferry/1/org-tag";
constexpr char kParentDomain = 'P';
constexpr char kIdDomain = 'I';
constexpr char kPublicIdDomain = 'X';

// How many seals are counted in one persisted step, and after how many a data key is replaced.
constexpr uint64_t kSealBlock = uint64_t{1} << 14;
constexpr uint64_t kSealLimit = uint64_t{1} << 32;

// All integers are big-endian.
inline void AppendUint16(uint16_t value, std::string& out) {
  out.push_back(static_cast<char>(value >> 8));
  out.push_back(static_cast<char>(value));
}
inline void AppendUint32(uint32_t value, std::string& out) {
  AppendUint16(static_cast<uint16_t>(value >> 16), out);
  AppendUint16(static_cast<uint16_t>(value), out);
}
inline void AppendUint64(uint64_t value, std::string& out) {
  AppendUint32(static_cast<uint32_t>(value >> 32), out);
  AppendUint32(static_cast<uint32_t>(value), out);
}
// Reads the first `size` bytes of `bytes`, which must have them.
inline uint64_t ReadUint(absl::string_view bytes, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

// Ids of a journal's records.
constexpr absl::string_view kJournalHeadId = "head";
std::string JournalBlockId(uint64_t number);

// A space byte, followed by `rest`.
std::string SpaceKey(Space space, absl::string_view rest);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_FORMAT_H_
