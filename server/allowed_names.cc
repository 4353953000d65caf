#include "server/allowed_names.h"

#include <algorithm>

#include "server/names.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {

absl::StatusOr<bool> AllowedNames::Allow(absl::string_view name) {
  if (!IsHijackingName(name)) return true;
  if (!names_.has_value()) {
    ASSIGN_OR_RETURN(const auto org,
                     ReadRecord<storage::records::OrgRecord>(view_, {storage::Table::kOrg, "", "", org_}));
    names_.emplace();
    if (org.has_value()) {
      names_->assign(org->record.allowed_variable_names().begin(), org->record.allowed_variable_names().end());
    }
  }
  // Whatever the record says, Keyferry's own names belong to nobody else.
  return CheckVariableForm(name, "").ok() && std::find(names_->begin(), names_->end(), name) != names_->end();
}

absl::Status AllowedNames::Check(absl::string_view name, absl::string_view field) {
  ASSIGN_OR_RETURN(const bool allowed, Allow(name));
  return allowed ? absl::OkStatus() : HijackingName(field);
}

}  // namespace keyferry::server
