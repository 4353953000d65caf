#include "storage/engine/rocksdb/log_scan.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "storage/engine/rocksdb/crc32c.h"

namespace keyferry::storage {
namespace {

constexpr size_t kBlockBytes = 32768;
constexpr size_t kHeaderBytes = 7;
// Full, first, middle and last part; the types of recycled and compressed logs are not in use.
constexpr unsigned char kMinType = 1;
constexpr unsigned char kMaxType = 4;

struct Header {
  uint32_t masked_crc;
  size_t length;
  unsigned char type;
};

Header ParseHeader(absl::string_view bytes) {
  const auto byte = [bytes](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(bytes[i])); };
  return {byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24, byte(4) | byte(5) << 8,
          static_cast<unsigned char>(bytes[6])};
}

// `covered` is the type and the data.
bool CrcHolds(const Header& header, absl::string_view covered) {
  const uint32_t crc = Crc32c(covered);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u == header.masked_crc;
}

// Whether a record that is whole begins there.
bool IsRecord(absl::string_view bytes) {
  if (bytes.size() < kHeaderBytes) return false;
  const Header header = ParseHeader(bytes);
  if (header.type < kMinType || header.type > kMaxType || header.length > bytes.size() - kHeaderBytes) return false;
  return CrcHolds(header, bytes.substr(6, 1 + header.length));
}

bool IsZero(absl::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == '\0'; });
}

// `rest` starts at a record that claims to go on beyond the end. It is torn, unless it is whole but for its length, or
// records come after it.
LogState JudgeEnd(absl::string_view rest) {
  if (CrcHolds(ParseHeader(rest), rest.substr(6))) return LogState::kDamaged;
  for (size_t at = 1; at + kHeaderBytes <= rest.size(); ++at) {
    if (IsRecord(rest.substr(at))) return LogState::kDamaged;
  }
  return LogState::kTorn;
}

}  // namespace

LogState ScanLog(absl::string_view content) {
  for (size_t at = 0; at < content.size();) {
    const absl::string_view rest = content.substr(at);
    const size_t block_left = kBlockBytes - at % kBlockBytes;
    if (block_left < kHeaderBytes) {
      if (!IsZero(rest.substr(0, block_left))) return LogState::kDamaged;
      at += block_left;
      continue;
    }
    if (rest.size() < kHeaderBytes || IsZero(rest)) return LogState::kTorn;
    const Header header = ParseHeader(rest);
    if (header.length > block_left - kHeaderBytes) return LogState::kDamaged;
    if (header.length > rest.size() - kHeaderBytes) return JudgeEnd(rest);
    if (!IsRecord(rest)) return LogState::kDamaged;
    at += kHeaderBytes + header.length;
  }
  return LogState::kWhole;
}

}  // namespace keyferry::storage
