#ifndef KEYFERRY_TESTS_KILL_STORE_LAYOUT_H_
#define KEYFERRY_TESTS_KILL_STORE_LAYOUT_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "storage/store.h"

namespace keyferry::testing {

// What the writer and the test agree on: which records a credential of the kill test consists of.
inline constexpr char kKillOrg[] = "acme";
inline constexpr int kWorkers = 3;
inline constexpr int kNamesPerWorker = 4;

inline std::string KillName(int worker, int index) { return absl::StrCat("NAME_", worker, "_", index); }
inline std::string KekPath(const std::string& directory, int64_t number) {
  return absl::StrCat(directory, "/kek", number);
}
inline storage::RecordKey KillKey(storage::Table table, const std::string& name) {
  return {table, kKillOrg, "users/ann", name};
}

}  // namespace keyferry::testing

#endif  // KEYFERRY_TESTS_KILL_STORE_LAYOUT_H_
