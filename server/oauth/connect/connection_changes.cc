// What changes connections: refresh and delete.
#include <memory>
#include <utility>

#include "server/audit/call_record.h"
#include "server/credentials/conversion.h"
#include "server/errors.h"
#include "server/oauth/connect/connection_rules.h"
#include "server/oauth/connect/conversion.h"
#include "server/oauth/connect/delete_below.h"
#include "server/oauth/connection_records.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {

using storage::Table;

absl::StatusOr<v1::Connection> ConnectionRules::RefreshConnection(const Caller& caller,
                                                                  const v1::RefreshConnectionRequest& request) {
  ASSIGN_OR_RETURN(const ChildName name, ParseConnectionChild(request.name(), kConnections, "name"));
  RETURN_IF_ERROR(AuthorizeHeld(context_.store, caller, Action::kUpdate, name.parent, request.name()));
  const auto exists = context_.store->View()->Contains(ConnectionRecordKey(Table::kConnection, ConnectionKeyOf(name)));
  if (!exists.ok()) return FromStore(exists.status(), request.name());
  if (!*exists) return NotFound(request.name());
  if (IsScopeSuspended(caller.tier, name.parent)) return Suspended(request.name());
  ASSIGN_OR_RETURN(const NetworkWaits::Place place, context_.waits->Take(caller.org));
  const std::optional<absl::Status> outcome =
      WaitFor<absl::Status>(kProviderWait, [&](std::function<void(absl::Status)> done) {
        context_.refresher->Refresh(ConnectionKeyOf(name), /*force=*/true, std::move(done));
      });
  if (!outcome.has_value()) return NoAnswer(request.name());
  RETURN_IF_ERROR(FromStore(*outcome, request.name()));
  return Read(caller, name);
}

absl::StatusOr<google::protobuf::Empty> ConnectionRules::DeleteConnection(const Caller& caller,
                                                                          const v1::DeleteConnectionRequest& request) {
  ASSIGN_OR_RETURN(const ChildName name, ParseConnectionChild(request.name(), kConnections, "name"));
  RETURN_IF_ERROR(Authorize(caller, Action::kDelete, ConnectionResource(name.parent, request.name())));
  RETURN_IF_ERROR(CommitRepeatedly(request.name(), [&] { return DeleteOnce(caller, name, request.etag()); }));
  context_.refresher->Changed(ConnectionKeyOf(name));
  return google::protobuf::Empty();
}

absl::Status ConnectionRules::DeleteOnce(const Caller& caller, const ChildName& name, const std::string& etag) {
  const std::string resource = name.Name(kConnections);
  const ConnectionKey key = ConnectionKeyOf(name);
  const std::unique_ptr<storage::StoreView> view = context_.store->View();
  ASSIGN_OR_RETURN(const auto found, ReadRecord<ConnectionRecord>(*view, ConnectionRecordKey(Table::kConnection, key)));
  if (!found.has_value()) return NotFound(resource);
  if (!etag.empty() && etag != ConnectionEtag(found->record)) return StaleEtag(resource);
  storage::Mutation mutation;
  RETURN_IF_ERROR(DeleteConnectionRecords(*view, key.org, key.parent, key.provider, context_.clock(), &mutation));
  NoteCredential(caller, resource, found->record.version());
  return CommitAudited(context_.store, caller, std::move(mutation)).status();
}

}  // namespace keyferry::server
