#include "storage/engine/batch_check.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace keyferry::storage {

absl::Status CheckEngineKey(absl::string_view key) {
  if (!key.empty() && key.size() <= kMaxEngineKeyBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("a key of ", key.size(), " bytes: keys have 1 to ", kMaxEngineKeyBytes, " bytes"));
}

absl::Status CheckEngineBatch(const EngineBatch& batch) {
  for (const EngineBatch::Precondition& precondition : batch.preconditions) {
    if (absl::Status status = CheckEngineKey(precondition.key); !status.ok()) return status;
  }
  for (const EngineBatch::Write& write : batch.writes) {
    if (absl::Status status = CheckEngineKey(write.key); !status.ok()) return status;
    if (write.value.has_value() && write.value->size() > kMaxEngineValueBytes) {
      return absl::InvalidArgumentError(absl::StrCat("a value of ", write.value->size(), " bytes: values have at most ",
                                                     kMaxEngineValueBytes, " bytes"));
    }
  }
  if (batch.writes.size() < 2) return absl::OkStatus();
  std::vector<absl::string_view> keys;
  keys.reserve(batch.writes.size());
  for (const EngineBatch::Write& write : batch.writes) keys.push_back(write.key);
  std::sort(keys.begin(), keys.end());
  if (std::adjacent_find(keys.begin(), keys.end()) != keys.end()) {
    return absl::InvalidArgumentError("a batch writes one key twice");
  }
  return absl::OkStatus();
}

std::string PrefixEnd(absl::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && static_cast<unsigned char>(end.back()) == 0xff) end.pop_back();
  if (!end.empty()) end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

}  // namespace keyferry::storage
