#ifndef KEYFERRY_STORAGE_ENGINE_BATCH_CHECK_H_
#define KEYFERRY_STORAGE_ENGINE_BATCH_CHECK_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "storage/engine/engine.h"

namespace keyferry::storage {

constexpr size_t kMaxEngineKeyBytes = size_t{1} << 10;
constexpr size_t kMaxEngineValueBytes = size_t{1} << 20;

// INVALID_ARGUMENT unless the key is 1 byte to 1 KiB.
absl::Status CheckEngineKey(absl::string_view key);

// INVALID_ARGUMENT if a key or value has a size that engines do not take, or a key is written twice.
absl::Status CheckEngineBatch(const EngineBatch& batch);

// Ends the range of keys that start with `prefix`: the smallest string greater than all of them, or empty if there is
// none.
std::string PrefixEnd(absl::string_view prefix);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_BATCH_CHECK_H_
