#include "storage/format.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace keyferry::storage {

std::string SpaceKey(Space space, absl::string_view rest) {
  return absl::StrCat(absl::string_view(reinterpret_cast<const char*>(&space), 1), rest);
}

std::string JournalBlockId(uint64_t number) { return absl::StrFormat("%016x", number); }

}  // namespace keyferry::storage
