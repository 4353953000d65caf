#ifndef KEYFERRY_SERVER_OAUTH_CONNECT_CONVERSION_H_
#define KEYFERRY_SERVER_OAUTH_CONNECT_CONVERSION_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/repeated_field.h"
#include "keyferry/v1/connections.pb.h"
#include "server/access/access.h"
#include "server/names.h"
#include "server/oauth/connection_refresher.h"
#include "server/oauth/protocol/token_client.h"
#include "server/usage/usage_recorder.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

inline constexpr absl::string_view kConnections = "connections";
inline constexpr absl::string_view kConnectionAttempts = "connectionAttempts";

// An org, team or user; INVALID_ARGUMENT naming `field` for anything else.
absl::StatusOr<ParentName> ParseConnectionParent(absl::string_view name, absl::string_view field);
// `{scope}/connections/{provider}` or `{scope}/connectionAttempts/{id}`, by `collection`.
absl::StatusOr<ChildName> ParseConnectionChild(absl::string_view name, absl::string_view collection,
                                               absl::string_view field);

// What the access decision is asked about; `name` is the connection's, or the parent's for a list.
Resource ConnectionResource(const ParentName& parent, std::string name);
// The same of an attempt that `starter`, a resource name, has made.
Resource AttemptResource(const ParentName& parent, std::string name, std::string starter);

// Whether the caller may start a connection of the scope: as for a credential that may be there or not. Then whether
// the tier includes the scope.
absl::Status AuthorizeStart(storage::Store* store, const Caller& caller, const ParentName& parent,
                            const std::string& name);

ConnectionKey ConnectionKeyOf(const ChildName& name);

std::string ConnectionEtag(const storage::records::ConnectionRecord& record);

// The public form.
v1::Connection ToConnection(const ParentName& parent, const storage::records::ConnectionRecord& record,
                            const LastUse& use, v1::Tier tier, absl::Time now);
v1::ConnectionAttempt ToConnectionAttempt(const ParentName& parent,
                                          const storage::records::ConnectionAttemptRecord& record, absl::Time now);

UrlVariables UrlVariablesFrom(const google::protobuf::RepeatedPtrField<storage::records::NamedValue>& values);
void SetUrlVariables(const UrlVariables& variables,
                     google::protobuf::RepeatedPtrField<storage::records::NamedValue>* values);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CONNECT_CONVERSION_H_
