#ifndef KEYFERRY_SERVER_AUDIT_AUDIT_LINE_H_
#define KEYFERRY_SERVER_AUDIT_AUDIT_LINE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/journal.h"

namespace keyferry::server {

// One entry as JSON lines hold it, with a newline: `{"org":"acme",` and then the members of v1::AuditEntry in
// Protobuf's JSON mapping, `sequence` and `hash` among them. `org` is "" for the system's journal. DATA_LOSS if the
// entry is none.
absl::StatusOr<std::string> AuditLine(absl::string_view org, const storage::JournalEntry& stored);

// The line that ends an export: `{"org":"acme","head":{...}}` with a v1::AuditHead, and a newline.
std::string AuditHeadLine(absl::string_view org, const storage::JournalHead& head);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_AUDIT_AUDIT_LINE_H_
