// Manifests and files of entries as anybody may have written them: what is taken from a manifest names files within the
// directory only, and what is taken from a file of entries is of a size that a store has.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/match.h"
#include "storage/backup/entry_parser.h"
#include "storage/backup/format.h"
#include "storage/backup/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace keyferry::storage;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto manifest = BackupManifest::Parse(text);
  if (manifest.ok()) {
    for (const BackupManifest::File& file : manifest->files) {
      if (absl::StrContains(file.name, '/') || absl::StrContains(file.name, '.')) std::abort();
    }
    static const auto* const kKey = new BackupKey(SecretBytes(32));
    if (manifest->Authenticate(text, *kKey).ok() && manifest->Encode(*kKey) != text) std::abort();
  }
  size_t taken = 0;
  EntryParser parser([&taken](absl::string_view key, absl::string_view value) {
    if (key.empty() || key.size() > kMaxKeySize || value.size() > kMaxValueSize) std::abort();
    taken += key.size() + value.size();
    return absl::OkStatus();
  });
  const size_t half = size / 2;
  if (parser.Feed(absl::string_view(text).substr(0, half)).ok()) {
    parser.Feed(absl::string_view(text).substr(half)).IgnoreError();
  }
  if (taken > size) std::abort();
  return 0;
}
