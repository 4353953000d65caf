#include "server/audit/audit_line.h"

#include "absl/strings/str_cat.h"
#include "google/protobuf/util/json_util.h"
#include "keyferry/v1/audit.pb.h"

namespace keyferry::server {

absl::StatusOr<std::string> AuditLine(absl::string_view org, const storage::JournalEntry& stored) {
  v1::AuditEntry entry;
  std::string json;
  const bool parsed = entry.ParseFromString(stored.payload);
  entry.set_sequence(static_cast<int64_t>(stored.sequence));
  entry.set_hash(stored.hash.data(), stored.hash.size());
  if (!parsed || !google::protobuf::util::MessageToJsonString(entry, &json).ok()) {
    return absl::DataLossError(absl::StrCat("entry ", stored.sequence, " of a journal is not an audit entry"));
  }
  // An org's id needs no escapes.
  return absl::StrCat("{\"org\":\"", org, "\",", absl::string_view(json).substr(1), "\n");
}

std::string AuditHeadLine(absl::string_view org, const storage::JournalHead& head) {
  v1::AuditHead proto;
  proto.set_sequence(static_cast<int64_t>(head.last_sequence));
  proto.set_hash(head.hash.data(), head.hash.size());
  proto.set_first_sequence(static_cast<int64_t>(head.first_sequence));
  proto.set_first_previous_hash(head.first_previous_hash.data(), head.first_previous_hash.size());
  std::string json;
  // Cannot fail: it holds numbers and bytes alone.
  if (!google::protobuf::util::MessageToJsonString(proto, &json).ok()) json = "{}";
  return absl::StrCat("{\"org\":\"", org, "\",\"head\":", json, "}\n");
}

}  // namespace keyferry::server
