#include "storage/crypto/keyring.h"

#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "storage/crypto/aead.h"
#include "storage/crypto/prf.h"

namespace keyferry::storage {
namespace {

// version (1) | size of org (2) | org | PRF key (32) | number of data keys (2) | for each: id (4) | key (32)
constexpr uint8_t kKeyringVersion = 1;
constexpr size_t kDataKeySize = 4 + Aead::kKeySize;

SecretBytes RandomKey() {
  SecretBytes key(Aead::kKeySize);
  RandomBytes(key.ExposeMutable());
  return key;
}

class Writer {
 public:
  explicit Writer(absl::Span<uint8_t> out) : out_(out) {}
  void Uint(uint64_t value, size_t size) {
    for (size_t i = 0; i < size; ++i) out_[at_++] = static_cast<uint8_t>(value >> (8 * (size - 1 - i)));
  }
  void Bytes(absl::string_view bytes) {
    std::memcpy(out_.data() + at_, bytes.data(), bytes.size());
    at_ += bytes.size();
  }

 private:
  absl::Span<uint8_t> out_;
  size_t at_ = 0;
};

// Reads within bounds; after a read beyond the end everything is empty and `ok` is false.
class Reader {
 public:
  explicit Reader(absl::string_view bytes) : rest_(bytes) {}
  uint64_t Uint(size_t size) {
    uint64_t value = 0;
    for (const char byte : Bytes(size)) value = value << 8 | static_cast<uint8_t>(byte);
    return value;
  }
  absl::string_view Bytes(size_t size) {
    if (size > rest_.size()) {
      ok_ = false;
      size = 0;
    }
    const absl::string_view out = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return out;
  }
  bool Done() const { return ok_ && rest_.empty(); }
  bool ok() const { return ok_; }

 private:
  absl::string_view rest_;
  bool ok_ = true;
};

}  // namespace

Keyring Keyring::Generate(absl::string_view org) {
  Keyring keyring;
  keyring.org = std::string(org);
  keyring.prf_key = RandomKey();
  keyring.AddDataKey();
  return keyring;
}

absl::StatusOr<Keyring> Keyring::Parse(absl::string_view bytes) {
  Reader reader(bytes);
  const uint64_t version = reader.Uint(1);
  Keyring keyring;
  keyring.org = std::string(reader.Bytes(reader.Uint(2)));
  keyring.prf_key = SecretBytes::CopyOf(reader.Bytes(Prf::kKeySize));
  const uint64_t count = reader.Uint(2);
  uint32_t previous = 0;
  bool rising = true;
  for (uint64_t i = 0; i < count && reader.ok(); ++i) {
    const uint32_t id = static_cast<uint32_t>(reader.Uint(4));
    rising = rising && id > previous;
    previous = id;
    keyring.data_keys.push_back({id, SecretBytes::CopyOf(reader.Bytes(Aead::kKeySize))});
  }
  if (version != kKeyringVersion || !reader.Done() || !rising || keyring.data_keys.empty()) {
    return absl::DataLossError("a keyring is malformed");
  }
  return keyring;
}

SecretBytes Keyring::Serialize() const {
  SecretBytes out(1 + 2 + org.size() + Prf::kKeySize + 2 + data_keys.size() * kDataKeySize);
  Writer writer(out.ExposeMutable());
  writer.Uint(kKeyringVersion, 1);
  writer.Uint(org.size(), 2);
  writer.Bytes(org);
  writer.Bytes(prf_key.Expose());
  writer.Uint(data_keys.size(), 2);
  for (const DataKey& data_key : data_keys) {
    writer.Uint(data_key.id, 4);
    writer.Bytes(data_key.key.Expose());
  }
  return out;
}

Keyring Keyring::Clone() const {
  Keyring copy;
  copy.org = org;
  copy.prf_key = prf_key.Clone();
  for (const DataKey& data_key : data_keys) copy.data_keys.push_back({data_key.id, data_key.key.Clone()});
  return copy;
}

void Keyring::AddDataKey() {
  const uint32_t id = data_keys.empty() ? 1 : current_id() + 1;
  data_keys.push_back({id, RandomKey()});
}

void Keyring::DropOldDataKeys() { data_keys.erase(data_keys.begin(), data_keys.end() - 1); }

}  // namespace keyferry::storage
