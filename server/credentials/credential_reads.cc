// What reads credentials: get and list.
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "server/credentials/conversion.h"
#include "server/credentials/credential_rules.h"
#include "server/errors.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {

using storage::Table;

absl::StatusOr<v1::Credential> CredentialRules::Show(const Caller& caller, const ParentName& parent,
                                                     const CredentialRecord& record,
                                                     const storage::StoreView& view) const {
  ASSIGN_OR_RETURN(const LastUse use, usage_->Find(view, parent.org, record.parent(), record.id(),
                                                   absl::FromUnixNanos(record.create_time())));
  return ToCredential(parent, record, use, caller.tier, clock_());
}

absl::StatusOr<v1::Credential> CredentialRules::GetCredential(const Caller& caller,
                                                              const v1::GetCredentialRequest& request) const {
  ASSIGN_OR_RETURN(const ChildName name, ParseCredentialName(request.name(), "name"));
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, CredentialResource(name.parent, request.name())));
  const absl::StatusOr<Found> found = Find(name);
  if (!found.ok()) return FromStore(found.status(), request.name());
  absl::StatusOr<v1::Credential> shown = Show(caller, name.parent, found->record, *found->view);
  if (!shown.ok()) return FromStore(shown.status(), request.name());
  return shown;
}

absl::StatusOr<v1::ListCredentialsResponse> CredentialRules::ListCredentials(
    const Caller& caller, const v1::ListCredentialsRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName parent, ParseCredentialParent(request.parent(), "parent"));
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, CredentialResource(parent, request.parent())));
  const std::unique_ptr<storage::StoreView> view = store_->View();
  if (parent.kind == ParentName::kTeam) {
    const auto exists = view->Contains({Table::kTeam, parent.org, "", parent.id});
    if (!exists.ok()) return FromStore(exists.status(), request.parent());
    if (!*exists) return NotFound(request.parent());
  }
  auto stored = ScanRecords<CredentialRecord>(*view, Table::kCredential, parent.org, parent.RecordParent());
  if (!stored.ok()) return FromStore(stored.status(), request.parent());
  absl::flat_hash_map<std::string, const CredentialRecord*> by_id;
  std::vector<std::string> ids;
  for (const auto& one : *stored) {
    by_id[one.record.id()] = &one.record;
    ids.push_back(one.record.id());
  }
  ASSIGN_OR_RETURN(IdPage page, MakePage(*pages_, caller, "ListCredentials", request.parent(), request.page_size(),
                                         request.page_token(), std::move(ids)));
  v1::ListCredentialsResponse response;
  for (const std::string& id : page.ids) {
    absl::StatusOr<v1::Credential> shown = Show(caller, parent, *by_id[id], *view);
    if (!shown.ok()) return FromStore(shown.status(), request.parent());
    response.add_credentials()->Swap(&*shown);
  }
  response.set_next_page_token(page.next_page_token);
  return response;
}

}  // namespace keyferry::server
