#include "server/oauth/providers/provider_deletion.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "keyferry/v1/mcp_servers.pb.h"
#include "server/oauth/connection_records.h"
#include "server/oauth/refresh/revocations.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "server/usage/usage_recorder.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::StoreView;
using storage::Table;
using storage::Wiped;

constexpr int kMaxNamed = 100;
// Of one commit: each connection is up to five records, one of them with a copy of the definition.
constexpr size_t kMaxPerCommit = 20;
constexpr size_t kMaxKeysPerCommit = 200;
constexpr int kMaxAttempts = 100;

// Calls `visit` for each decoded record of the table, until it returns false.
template <typename T>
absl::Status VisitAll(const StoreView& view, Table table, absl::string_view org,
                      const std::function<bool(const T&)>& visit) {
  absl::Status decoded;
  RETURN_IF_ERROR(view.ScanAll(table, org, [&](storage::Record stored) {
    Wiped<T> record;
    decoded = storage::ParseSecretInto(stored.payload, *record);
    return decoded.ok() && visit(*record);
  }));
  return decoded;
}

std::string InOrg(const std::string& org, absl::string_view parent, absl::string_view collection,
                  absl::string_view id) {
  return absl::StrCat("orgs/", org, parent.empty() ? "" : "/", parent, "/", collection, "/", id);
}

// The first of them in order.
void FillNames(const std::set<std::string>& names, google::protobuf::RepeatedPtrField<std::string>* filled) {
  for (const std::string& name : names) {
    if (filled->size() == kMaxNamed) return;
    *filled->Add() = name;
  }
}

bool Binds(const records::McpServerRecord& record, const std::string& provider) {
  Wiped<v1::McpServer> definition;
  if (!definition->ParseFromString(record.definition())) return false;
  return std::any_of(definition->env().begin(), definition->env().end(), [&](const v1::EnvBinding& binding) {
    return binding.source_case() == v1::EnvBinding::kOauth && binding.oauth() == provider;
  });
}

int CountProcesses(const std::string& org, const std::string& provider, ProcessTable* processes, absl::Time now) {
  const std::string suffix = absl::StrCat("/connections/", provider);
  int count = 0;
  for (const LiveProcess& live : processes->List(org, /*mcp_server=*/"", now)) {
    const auto& held = live.process->credentials();
    count += std::any_of(held.begin(), held.end(),
                         [&suffix](const v1::HeldCredential& one) { return absl::EndsWith(one.credential(), suffix); });
  }
  return count;
}

// Takes one connection away, and has its tokens revoked.
absl::Status RemoveConnection(const StoreView& view, const StoredProvider& provider, const ConnectionKey& key,
                              absl::Time now, storage::Mutation* mutation) {
  const storage::RecordKey token_key = ConnectionRecordKey(Table::kConnectionToken, key);
  const storage::RecordKey connection_key = ConnectionRecordKey(Table::kConnection, key);
  ASSIGN_OR_RETURN(auto connection, ReadRecord<records::ConnectionRecord>(view, connection_key));
  ASSIGN_OR_RETURN(auto token, ReadRecord<records::ConnectionTokenRecord>(view, token_key));
  // A refresh that is under way may put newer tokens there, which then have to be revoked instead.
  mutation->Delete(connection_key, connection.has_value() ? connection->revision : 0);
  mutation->Delete(token_key, token.has_value() ? token->revision : 0);
  mutation->Delete(ConnectionRecordKey(Table::kConnectionLease, key), /*expected=*/std::nullopt);
  mutation->Delete(ConnectionUsageKey(key.org, key.parent, key.provider), /*expected=*/std::nullopt);
  if (!token.has_value()) return absl::OkStatus();
  const Wiped<records::ConnectionTokenRecord> wiped(std::move(token->record));
  AddRevocation(key.org, *provider.record, connection.has_value() ? connection->record : records::ConnectionRecord(),
                *wiped, now, mutation);
  return absl::OkStatus();
}

// The records of an attempt, and what leads to them.
void RemoveAttempt(const std::string& org, const records::ConnectionAttemptRecord& attempt,
                   std::vector<storage::RecordKey>* keys) {
  keys->push_back({Table::kConnectionAttempt, org, attempt.parent(), attempt.id()});
  for (const std::string* hash : {&attempt.start_hash(), &attempt.state_hash()}) {
    if (!hash->empty()) keys->push_back({Table::kConnectionAttemptIndex, "", "", absl::BytesToHexString(*hash)});
  }
}

// What belongs to a provider.
struct Belongings {
  std::vector<ConnectionKey> connections;
  std::vector<storage::RecordKey> of_attempts;
};

absl::StatusOr<Belongings> FindBelongings(const StoreView& view, const std::string& org, const std::string& id) {
  Belongings found;
  RETURN_IF_ERROR(VisitAll<records::ConnectionRecord>(view, Table::kConnection, org, [&](const auto& one) {
    if (one.id() == id) found.connections.push_back({org, one.parent(), id});
    return true;
  }));
  RETURN_IF_ERROR(VisitAll<records::ConnectionAttemptRecord>(view, Table::kConnectionAttempt, org,
                                                             [&](const records::ConnectionAttemptRecord& one) {
                                                               if (one.provider() == id)
                                                                 RemoveAttempt(org, one, &found.of_attempts);
                                                               return true;
                                                             }));
  return found;
}

absl::Status RemoveConnections(storage::Store* store, const StoredProvider& provider,
                               absl::Span<const ConnectionKey> connections, absl::Time now) {
  const std::unique_ptr<StoreView> view = store->View();
  storage::Mutation mutation;
  for (const ConnectionKey& key : connections) {
    RETURN_IF_ERROR(RemoveConnection(*view, provider, key, now, &mutation));
  }
  return store->Commit(mutation, storage::Durability::kSynced).status();
}

absl::Status RemoveOnce(storage::Store* store, const std::string& org, const std::string& id, absl::Time now,
                        const std::function<void(const ConnectionKey&)>& changed) {
  const std::unique_ptr<StoreView> view = store->View();
  ASSIGN_OR_RETURN(const std::unique_ptr<StoredProvider> provider, LoadStoredProvider(*view, org, id));
  if (provider == nullptr) return absl::OkStatus();
  if (!provider->record->deleting()) return absl::FailedPreconditionError("the provider is not being deleted");
  ASSIGN_OR_RETURN(const Belongings found, FindBelongings(*view, org, id));
  const absl::Span<const ConnectionKey> connections = found.connections;
  for (size_t at = 0; at < connections.size(); at += kMaxPerCommit) {
    const absl::Span<const ConnectionKey> some = connections.subspan(at, kMaxPerCommit);
    RETURN_IF_ERROR(RemoveConnections(store, *provider, some, now));
    for (const ConnectionKey& key : some) changed(key);
  }
  for (size_t at = 0; at < found.of_attempts.size(); at += kMaxKeysPerCommit) {
    storage::Mutation mutation;
    for (const storage::RecordKey& key : absl::MakeConstSpan(found.of_attempts).subspan(at, kMaxKeysPerCommit)) {
      mutation.Delete(key, /*expected=*/std::nullopt);
    }
    RETURN_IF_ERROR(store->Commit(mutation, storage::Durability::kSynced).status());
  }
  // What was committed just before the provider was marked is in the view already; nothing came since.
  storage::Mutation last;
  last.Delete(ProviderKey(org, id), provider->revision);
  return store->Commit(last, storage::Durability::kSynced).status();
}

}  // namespace

absl::StatusOr<v1::DeleteOauthProviderResponse> WhoIsAffected(const StoreView& view, const std::string& org,
                                                              const std::string& provider, ProcessTable* processes,
                                                              absl::Time now) {
  std::set<std::string> shared;
  std::set<std::string> servers;
  int users = 0;
  RETURN_IF_ERROR(VisitAll<records::ConnectionRecord>(view, Table::kConnection, org, [&](const auto& one) {
    if (one.id() != provider) return true;
    if (absl::StartsWith(one.parent(), "users/")) {
      ++users;
    } else {
      shared.insert(InOrg(org, one.parent(), "connections", provider));
    }
    return true;
  }));
  RETURN_IF_ERROR(VisitAll<records::McpServerRecord>(view, Table::kMcpServer, org, [&](const auto& one) {
    if (Binds(one, provider)) servers.insert(InOrg(org, one.parent(), "mcpServers", one.id()));
    return true;
  }));
  v1::DeleteOauthProviderResponse affected;
  FillNames(shared, affected.mutable_shared_connections());
  FillNames(servers, affected.mutable_mcp_servers());
  affected.set_user_connection_count(users);
  affected.set_process_count(CountProcesses(org, provider, processes, now));
  return affected;
}

absl::Status FinishDeletion(storage::Store* store, const std::string& org, const std::string& provider, absl::Time now,
                            const std::function<void(const ConnectionKey&)>& changed) {
  absl::Status gone = RemoveOnce(store, org, provider, now, changed);
  for (int i = 0; i < kMaxAttempts && absl::IsAborted(gone); ++i) {
    gone = RemoveOnce(store, org, provider, now, changed);
  }
  return gone;
}

absl::Status FinishDeletions(storage::Store* store, absl::Time now) {
  const std::unique_ptr<StoreView> view = store->View();
  ASSIGN_OR_RETURN(const auto orgs, ScanRecords<records::OrgRecord>(*view, Table::kOrg, /*org=*/"", /*parent=*/""));
  for (const auto& org : orgs) {
    std::vector<std::string> cut_off;
    absl::Status status = VisitAll<records::OauthProviderRecord>(*view, Table::kOauthProvider, org.record.id(),
                                                                 [&](const records::OauthProviderRecord& provider) {
                                                                   if (provider.deleting())
                                                                     cut_off.push_back(provider.id());
                                                                   return true;
                                                                 });
    for (size_t i = 0; status.ok() && i < cut_off.size(); ++i) {
      status = FinishDeletion(store, org.record.id(), cut_off[i], now, [](const ConnectionKey&) {});
    }
    // Destroyed meanwhile.
    if (!absl::IsNotFound(status)) RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

}  // namespace keyferry::server
