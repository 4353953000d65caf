#include "storage/envelope.h"

#include <cstring>

#include "storage/format.h"

namespace keyferry::storage {
namespace {

// Put together on the stack: opening a record should cost no allocation but that of its payload.
class AssociatedData {
 public:
  AssociatedData(absl::string_view header, absl::string_view engine_key) : size_(header.size() + engine_key.size()) {
    std::memcpy(bytes_, header.data(), header.size());
    std::memcpy(bytes_ + header.size(), engine_key.data(), engine_key.size());
  }
  absl::string_view view() const { return absl::string_view(bytes_, size_); }

 private:
  char bytes_[kRecordHeaderSize + kRecordKeySize];
  size_t size_;
};

}  // namespace

std::string SealRecord(const Aead& key, uint32_t key_id, absl::string_view engine_key, uint64_t version,
                       const SecretBytes& payload) {
  std::string out;
  out.reserve(kSealedRecordOverhead + payload.size());
  out.push_back(kSealedFormat);
  AppendUint32(key_id, out);
  AppendUint64(version, out);
  const AssociatedData associated_data(out, engine_key);
  key.SealTo(payload.Expose(), associated_data.view(), out);
  return out;
}

absl::StatusOr<SealedRecordHeader> ParseSealedRecord(absl::string_view sealed) {
  if (sealed.size() < kSealedRecordOverhead || sealed[0] != kSealedFormat) {
    return absl::DataLossError("a sealed record is truncated or of an unknown form");
  }
  SealedRecordHeader header;
  header.key_id = static_cast<uint32_t>(ReadUint(sealed.substr(1), 4));
  header.version = ReadUint(sealed.substr(5), 8);
  return header;
}

absl::StatusOr<SecretBytes> OpenRecord(const Aead& key, absl::string_view engine_key, absl::string_view sealed) {
  if (sealed.size() < kSealedRecordOverhead || engine_key.size() != kRecordKeySize) {
    return absl::DataLossError("a sealed record is truncated");
  }
  const AssociatedData associated_data(sealed.substr(0, kRecordHeaderSize), engine_key);
  return key.Open(sealed.substr(kRecordHeaderSize), associated_data.view());
}

}  // namespace keyferry::storage
