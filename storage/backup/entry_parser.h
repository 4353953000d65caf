#ifndef KEYFERRY_STORAGE_BACKUP_ENTRY_PARSER_H_
#define KEYFERRY_STORAGE_BACKUP_ENTRY_PARSER_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace keyferry::storage {

// Takes one file of entries (format.h) apart as its bytes arrive. Not thread-safe. Keeps at most one piece and one
// entry in memory, whatever the bytes say.
class EntryParser {
 public:
  using Visit = std::function<absl::Status(absl::string_view key, absl::string_view value)>;

  explicit EntryParser(Visit visit) : visit_(std::move(visit)) {}

  // DATA_LOSS if this is no file of entries; an error of `visit` is handed back.
  absl::Status Feed(absl::string_view bytes);
  // Whether the bytes end where an entry does.
  bool AtEnd() const { return begun_ && pending_.empty(); }

 private:
  // The size of the entry that `bytes` start with, header included, or 0 if its header is not all there yet.
  static size_t EntrySize(absl::string_view bytes);

  const Visit visit_;
  bool begun_ = false;
  std::string pending_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_BACKUP_ENTRY_PARSER_H_
