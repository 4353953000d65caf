#include "server/directory/tokens.h"

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/access/access.h"
#include "server/audit/call_record.h"
#include "server/errors.h"
#include "server/identity/token_text.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "server/version.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::RecordKey;
using storage::Table;

constexpr absl::Duration kDefaultTtl = absl::Hours(24);
constexpr absl::Duration kMinTtl = absl::Minutes(1);
// Of one principal.
constexpr size_t kMaxLiveTokens = 1000;
constexpr absl::Duration kMaxTtl = absl::Hours(24 * 365);

absl::StatusOr<ParentName> ParsePrincipal(absl::string_view name, absl::string_view field) {
  ASSIGN_OR_RETURN(ParentName principal, ParseParent(name, field));
  if (principal.kind != ParentName::kUser && principal.kind != ParentName::kService &&
      principal.kind != ParentName::kWorkload) {
    return InvalidField(field, "not a principal", "Name a user, service or workload.");
  }
  return principal;
}

Resource TokenResource(const ParentName& principal, std::string name) {
  return Resource{ResourceKind::kToken, principal.org, /*team=*/"",
                  principal.kind == ParentName::kUser ? principal.id : "", std::move(name)};
}

absl::StatusOr<absl::Duration> Ttl(const v1::CreateTokenRequest& request) {
  if (!request.has_ttl()) return kDefaultTtl;
  const google::protobuf::Duration& asked = request.ttl();
  // Range-checked before arithmetic: the fields may hold anything.
  if (asked.seconds() < 0 || asked.seconds() > absl::ToInt64Seconds(kMaxTtl) || asked.nanos() < 0 ||
      asked.nanos() > 999999999) {
    return InvalidField("ttl", "out of range", "Ask for 1 minute to 365 days.");
  }
  const absl::Duration ttl = absl::Seconds(asked.seconds()) + absl::Nanoseconds(asked.nanos());
  if (ttl < kMinTtl || ttl > kMaxTtl) return InvalidField("ttl", "out of range", "Ask for 1 minute to 365 days.");
  return ttl;
}

v1::Token ToProto(const records::TokenRecord& record) {
  v1::Token token;
  token.set_name(absl::StrCat(record.principal(), "/tokens/", record.id()));
  token.set_display_name(record.display_name());
  *token.mutable_create_time() = ToTimestamp(record.create_time());
  *token.mutable_expire_time() = ToTimestamp(record.expire_time());
  token.set_creator(record.creator());
  return token;
}

// Sorts the newest first when compared as text.
std::string ListKey(const records::TokenRecord& record) {
  return absl::StrCat(
      absl::Hex(std::numeric_limits<int64_t>::max() - std::max<int64_t>(record.create_time(), 0), absl::kZeroPad16),
      "-", record.id());
}

Table TableOf(ParentName::Kind kind) {
  switch (kind) {
    case ParentName::kService:
      return Table::kService;
    case ParentName::kWorkload:
      return Table::kWorkload;
    default:
      return Table::kUser;
  }
}

PrincipalKind KindOf(ParentName::Kind kind) {
  switch (kind) {
    case ParentName::kService:
      return PrincipalKind::kService;
    case ParentName::kWorkload:
      return PrincipalKind::kWorkload;
    default:
      return PrincipalKind::kUser;
  }
}

RecordKey IndexKey(absl::string_view hash) { return {Table::kTokenIndex, "", "", absl::BytesToHexString(hash)}; }

absl::Status DropExpired(const storage::StoreView& view, const ParentName& principal, int64_t now,
                         storage::Mutation* mutation) {
  auto tokens = ScanRecords<records::TokenRecord>(view, Table::kToken, principal.org, principal.RecordParent());
  if (!tokens.ok()) return FromStore(tokens.status(), principal.Name());
  size_t live = 0;
  for (const auto& token : *tokens) {
    if (token.record.expire_time() > now) {
      ++live;
      continue;
    }
    mutation->Delete({Table::kToken, principal.org, principal.RecordParent(), token.record.id()}, std::nullopt);
    mutation->Delete(IndexKey(token.record.hash()), std::nullopt);
  }
  if (live < kMaxLiveTokens) return absl::OkStatus();
  v1::ErrorDetail detail;
  detail.set_reason("TOO_MANY");
  detail.set_resource(principal.Name());
  detail.set_next_step("Revoke tokens that are no longer used.");
  return MakeError(absl::StatusCode::kResourceExhausted,
                   absl::StrCat(principal.Name(), ": has ", kMaxLiveTokens, " tokens that have not expired"), detail);
}

}  // namespace

absl::StatusOr<storage::Revision> FindPrincipal(const storage::StoreView& view, const ParentName& principal) {
  auto found = view.Get({TableOf(principal.kind), principal.org, "", principal.id});
  if (!found.ok()) return FromStore(found.status(), principal.Name());
  if (!found->has_value()) return NotFound(principal.Name());
  return (*found)->revision;
}

absl::StatusOr<IssuedToken> IssueToken(const DirectoryContext& context, const Caller& caller,
                                       const storage::StoreView& view, const ParentName& principal,
                                       storage::Revision revision, absl::string_view display_name,
                                       absl::string_view creator, absl::Time expire_time) {
  const std::string parent = principal.RecordParent();
  IssuedToken issued;
  issued.text = MakeTokenText(KindOf(principal.kind));
  records::TokenRecord token;
  token.set_id(absl::BytesToHexString(storage::RandomString(8)));
  token.set_principal(principal.Name());
  token.set_display_name(std::string(display_name));
  token.set_hash(HashTokenText(issued.text.Expose()));
  token.set_create_time(context.NowNanos());
  token.set_expire_time(absl::ToUnixNanos(expire_time));
  token.set_creator(std::string(creator));
  records::TokenIndexRecord index;
  index.set_org(principal.org);
  index.set_parent(parent);
  index.set_token_id(token.id());

  storage::Mutation mutation;
  RETURN_IF_ERROR(DropExpired(view, principal, token.create_time(), &mutation));
  mutation.Require({TableOf(principal.kind), principal.org, "", principal.id}, revision);
  mutation.Put({Table::kToken, principal.org, parent, token.id()}, storage::SerializeSecret(token), /*version=*/1,
               /*expected=*/0);
  mutation.Put(IndexKey(token.hash()), storage::SerializeSecret(index), /*version=*/1, /*expected=*/0);
  const auto committed = CommitAudited(context.store, caller, std::move(mutation));
  if (!committed.ok()) return FromStore(committed.status(), principal.Name());
  issued.metadata = ToProto(token);
  return issued;
}

absl::StatusOr<v1::CreateTokenResponse> TokenRules::CreateToken(const Caller& caller,
                                                                const v1::CreateTokenRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName principal, ParsePrincipal(request.parent(), "parent"));
  RETURN_IF_ERROR(Authorize(caller, Action::kCreate, TokenResource(principal, principal.Name())));
  RETURN_IF_ERROR(CheckDisplayName(request.display_name(), "display_name"));
  ASSIGN_OR_RETURN(const absl::Duration ttl, Ttl(request));
  absl::Time expire_time = context_.clock() + ttl;
  if (principal.Name() == caller.Name()) expire_time = std::min(expire_time, caller.token_expire_time);
  const auto view = context_.store->View();
  ASSIGN_OR_RETURN(const storage::Revision revision, FindPrincipal(*view, principal));
  ASSIGN_OR_RETURN(IssuedToken issued, IssueToken(context_, caller, *view, principal, revision, request.display_name(),
                                                  caller.Name(), expire_time));
  v1::CreateTokenResponse response;
  response.set_token(issued.text.Expose().data(), issued.text.size());
  *response.mutable_metadata() = std::move(issued.metadata);
  return response;
}

absl::StatusOr<v1::ListTokensResponse> TokenRules::ListTokens(const Caller& caller,
                                                              const v1::ListTokensRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName principal, ParsePrincipal(request.parent(), "parent"));
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, TokenResource(principal, principal.Name())));
  const auto view = context_.store->View();
  RETURN_IF_ERROR(FindPrincipal(*view, principal).status());
  auto all = ScanRecords<records::TokenRecord>(*view, Table::kToken, principal.org, principal.RecordParent());
  if (!all.ok()) return FromStore(all.status(), principal.Name());
  std::map<std::string, const records::TokenRecord*> by_key;
  std::vector<std::string> keys;
  for (const auto& stored : *all) {
    keys.push_back(ListKey(stored.record));
    by_key[keys.back()] = &stored.record;
  }
  ASSIGN_OR_RETURN(IdPage page, MakePage(*context_.pages, caller, "ListTokens", request.parent(), request.page_size(),
                                         request.page_token(), std::move(keys)));
  v1::ListTokensResponse response;
  for (const std::string& key : page.ids) *response.add_tokens() = ToProto(*by_key.at(key));
  response.set_next_page_token(page.next_page_token);
  return response;
}

absl::StatusOr<google::protobuf::Empty> TokenRules::RevokeToken(const Caller& caller,
                                                                const v1::RevokeTokenRequest& request) const {
  ASSIGN_OR_RETURN(const ChildName name, ParseChild(request.name(), "tokens", "name"));
  RETURN_IF_ERROR(ParsePrincipal(name.parent.Name(), "name").status());
  RETURN_IF_ERROR(CheckId(name.id, "name"));
  RETURN_IF_ERROR(Authorize(caller, Action::kDelete, TokenResource(name.parent, request.name())));
  const RecordKey key{Table::kToken, name.parent.org, name.parent.RecordParent(), name.id};
  const auto view = context_.store->View();
  auto token = ReadRecord<records::TokenRecord>(*view, key);
  if (!token.ok()) return FromStore(token.status(), request.name());
  if (!token->has_value()) return NotFound(request.name());
  storage::Mutation mutation;
  mutation.Delete(key, (*token)->revision);
  mutation.Delete(IndexKey((*token)->record.hash()), std::nullopt);
  const auto committed = CommitAudited(context_.store, caller, std::move(mutation));
  if (!committed.ok()) return FromStore(committed.status(), request.name());
  return google::protobuf::Empty();
}

absl::StatusOr<v1::Caller> TokenRules::GetCaller(const Caller& caller, const v1::GetCallerRequest&) const {
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, {ResourceKind::kOwnIdentity, caller.org, "", "", caller.Name()}));
  v1::Caller answer;
  answer.set_principal(caller.Name());
  *answer.mutable_token_expire_time() = ToTimestamp(absl::ToUnixNanos(caller.token_expire_time));
  answer.set_server_version(kServerVersion);
  if (caller.external != nullptr) {
    answer.set_issuer(caller.external->issuer);
    answer.set_subject(caller.external->subject);
  }
  return answer;
}

}  // namespace keyferry::server
