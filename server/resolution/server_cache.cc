#include "server/resolution/server_cache.h"

#include <utility>

#include "server/mcpservers/definition.h"
#include "server/status_macros.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {
namespace {

Binding BindingOf(const v1::EnvBinding& stored) {
  Binding binding;
  binding.variable = stored.variable();
  binding.value_template = stored.template_();
  binding.required = !stored.optional();
  binding.pinned = stored.not_overridable();
  binding.hijacking = IsHijackingName(stored.variable());
  switch (stored.source_case()) {
    case v1::EnvBinding::kOrgSecret:
      binding.source = SourceKind::kOrgSecret;
      binding.credential = stored.org_secret();
      break;
    case v1::EnvBinding::kTeamSecret:
      binding.source = SourceKind::kTeamSecret;
      binding.credential = stored.team_secret();
      break;
    case v1::EnvBinding::kUserSecret:
      binding.source = SourceKind::kUserSecret;
      binding.credential = stored.user_secret();
      break;
    case v1::EnvBinding::kOauth:
      binding.source = SourceKind::kOauth;
      binding.credential = stored.oauth();
      break;
    default:
      binding.source = SourceKind::kStatic;
  }
  return binding;
}

}  // namespace

ServerBindings BindingsOf(const v1::McpServer& definition) {
  ServerBindings bindings;
  for (const v1::EnvBinding& stored : definition.env()) {
    bindings.bindings.push_back(BindingOf(stored));
    if (bindings.bindings.back().source == SourceKind::kStatic) bindings.has_static = true;
  }
  return bindings;
}

absl::StatusOr<std::unique_ptr<StoredServer>> ReadServer(const storage::StoreView& view, const ChildName& name) {
  ASSIGN_OR_RETURN(const auto stored, view.Get(McpServerKey(name)));
  if (!stored.has_value()) return std::unique_ptr<StoredServer>();
  storage::Wiped<storage::records::McpServerRecord> record;
  RETURN_IF_ERROR(storage::ParseSecretInto(stored->payload, *record));
  auto server = std::make_unique<StoredServer>();
  if (!(*server)->ParseFromString(record->definition())) {
    return absl::DataLossError("an MCP server's definition does not parse");
  }
  return server;
}

absl::StatusOr<std::shared_ptr<const ServerBindings>> ServerCache::Get(const storage::StoreView& view,
                                                                       uint64_t generation, const ChildName& name,
                                                                       const std::string& resource) {
  {
    absl::ReaderMutexLock lock(&mutex_);
    if (generation_ == generation) {
      const auto known = servers_.find(resource);
      if (known != servers_.end()) return known->second;
    }
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<StoredServer> server, ReadServer(view, name));
  if (server == nullptr) return std::shared_ptr<const ServerBindings>();
  auto bindings = std::make_shared<const ServerBindings>(BindingsOf(**server));
  absl::MutexLock lock(&mutex_);
  if (generation_ < generation || servers_.size() >= max_servers_) servers_.clear();
  if (generation_ <= generation) {
    generation_ = generation;
    servers_[resource] = bindings;
  }
  return bindings;
}

}  // namespace keyferry::server
