// Bytes from the disk where a sealed record is expected. The input is taken as it is, and also written over a record
// that is really sealed: what opens must be the very record that was sealed.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "storage/crypto/aead.h"
#include "storage/envelope.h"
#include "storage/format.h"
#include "storage/header.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyferry::storage;
  static const auto& key = *new auto(*Aead::Create(SecretBytes::CopyOf(std::string(Aead::kKeySize, 'k'))));
  const absl::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string place(kRecordKeySize, 'p');

  (void)ParseSealedRecord(input);
  (void)StoreHeader::Parse(input);
  // libFuzzer may learn a record that an earlier run sealed; nothing else opens.
  const auto opened = OpenRecord(*key, place, input);
  if (opened.ok() && opened->Expose() != "payload") std::abort();

  const std::string sealed = SealRecord(*key, 7, place, 3, SecretBytes::CopyOf("payload"));
  std::string changed = sealed;
  if (size > 0) {
    const size_t offset = data[0] % sealed.size();
    changed.replace(offset, std::min(size - 1, sealed.size() - offset), std::string(input.substr(1)));
  }
  const auto reopened = OpenRecord(*key, place, changed);
  if (!reopened.ok() && changed == sealed) std::abort();
  if (reopened.ok() && reopened->Expose() != "payload") std::abort();
  return 0;
}
