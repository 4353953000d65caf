#include "storage/backup/entry_parser.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "storage/backup/format.h"
#include "storage/format.h"
#include "storage/status_macros.h"

namespace keyferry::storage {

size_t EntryParser::EntrySize(absl::string_view bytes) {
  if (bytes.size() < kEntryHeaderSize) return 0;
  return kEntryHeaderSize + ReadUint(bytes, 2) + ReadUint(bytes.substr(2), 4);
}

absl::Status EntryParser::Feed(absl::string_view bytes) {
  pending_.append(bytes.data(), bytes.size());
  absl::string_view rest = pending_;
  if (!begun_) {
    if (rest.size() < kEntriesMagic.size()) return absl::OkStatus();
    if (!absl::ConsumePrefix(&rest, kEntriesMagic)) return absl::DataLossError("a backup's file has no entries");
    begun_ = true;
  }
  for (size_t size = EntrySize(rest); size != 0; size = EntrySize(rest)) {
    const size_t key_size = ReadUint(rest, 2);
    const size_t value_size = ReadUint(rest.substr(2), 4);
    if (key_size == 0 || key_size > kMaxKeySize || value_size > kMaxValueSize) {
      return absl::DataLossError("a backup's file has an entry of a size that no store has");
    }
    if (rest.size() < size) break;
    RETURN_IF_ERROR(
        visit_(rest.substr(kEntryHeaderSize, key_size), rest.substr(kEntryHeaderSize + key_size, value_size)));
    rest.remove_prefix(size);
  }
  pending_ = std::string(rest);
  return absl::OkStatus();
}

}  // namespace keyferry::storage
