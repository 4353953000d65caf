#ifndef KEYFERRY_CLIENT_MANIFEST_FILE_H_
#define KEYFERRY_CLIENT_MANIFEST_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace keyferry::client {

// Reads the objects of a manifest of Kubernetes, YAML documents or JSON. Empty documents are left out. Plain scalars
// are what Kubernetes' own tools take them for (YAML 1.1: 0644 is octal), but for those that readers of YAML take
// differently, such as `yes`: these must be quoted.
//
// INVALID_ARGUMENT, "FILE:LINE:COLUMN: problem; what to do": no YAML, a key that comes twice, merge keys and tags of
// other types, more than 1000 documents, 100,000 nodes or 64 levels (aliases count each time).
absl::StatusOr<std::vector<nlohmann::json>> ParseManifestFile(const std::string& text, absl::string_view file_name);

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_MANIFEST_FILE_H_
