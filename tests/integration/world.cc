#include "tests/integration/world.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "google/protobuf/stubs/logging.h"
#include "grpcpp/grpcpp.h"
#include "keyferry/v1/connections.pb.h"
#include "keyferry/v1/directory.pb.h"
#include "keyferry/v1/mcp_servers.pb.h"
#include "keyferry/v1/resolution.pb.h"
#include "keyferry/v1/sessions.pb.h"
#include "keyferry/v1/tokens.pb.h"
#include "server/dev/certificates.h"
#include "server/directory/bootstrap.h"
#include "server/rpc/rpc_status.pb.h"
#include "storage/crypto/key_provider.h"
#include "storage/journal.h"
#include "storage/open.h"
#include "storage/testing_store.h"
#include "tests/integration/filling_store.h"
#include "tests/integration/world_connections.h"
#include "tests/integration/world_contents.h"

namespace keyferry::testing {
namespace {

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

std::string NameOf(Who who) {
  switch (who) {
    case Who::kNobody:
      return "nobody";
    case Who::kAdmin:
      return "the org's ADMIN";
    case Who::kMember:
      return "a MEMBER in no team";
    case Who::kOwner:
      return "the team's OWNER";
    case Who::kTeamAdmin:
      return "the team's ADMIN";
    case Who::kTeamMember:
      return "the team's MEMBER";
    case Who::kOtherTeam:
      return "a member of another team";
    case Who::kService:
      return "a service";
    case Who::kWorkload:
      return "a workload";
    case Who::kRival:
      return "another org's ADMIN";
  }
  return "";
}

World::World(const WrapStore& wrap, const config::Identity& identity)
    : clock_nanos_(absl::ToUnixNanos(absl::Now())), logger_(server::MakeSilentLogger()) {
  google::protobuf::SetLogHandler(nullptr);  // Requests that do not parse are sent on purpose.
  StartServer(wrap, identity);
  Populate();
  LearnWords();
  TakeDigest();  // Resolves once, so that last uses stand from here on.
}

World::~World() = default;

void World::StopServer() { server_->Drain(absl::Seconds(60)); }

void World::StartServer(const WrapStore& wrap, const config::Identity& identity) {
  directory_ = storage::MakeTestDirectory();
  if (!storage::CreateKekFile(directory_ + "/kek").ok()) Die("no KEK file");
  if (!server::EnsureDevCertificates(directory_, absl::Now()).ok()) Die("no certificates");
  const auto key_provider = storage::LoadFileKeyProvider(directory_ + "/kek");
  if (!key_provider.ok()) Die(key_provider.status().ToString());
  storage::OpenOptions open;
  open.data_dir = directory_ + "/store";
  open.create = true;
  open.memory_budget = size_t{16} << 20;
  auto store = storage::OpenStore(open, **key_provider);
  if (!store.ok()) Die(store.status().ToString());
  const auto clock = [this] { return absl::FromUnixNanos(clock_nanos_); };
  absl::Mutex changes;
  const server::DirectoryContext context{store->get(), clock, nullptr, &changes};
  for (const auto& [who, org, admin] :
       {std::tuple(Who::kAdmin, "acme", "root"), std::tuple(Who::kRival, "rival", "eve")}) {
    if (!server::EnsureOrgWithAdmin(context, org, v1::TIER_BUSINESS, admin).ok()) Die("no org");
    const auto issued = server::IssueTokenForUser(context, org, admin, "", absl::Hours(100));
    if (!issued.ok()) Die(issued.status().ToString());
    tokens_[who] = std::string(issued->text.Expose());
  }
  server::KeyferryServerOptions options;
  options.grpc.listen = "127.0.0.1:0";
  options.grpc.cert_file = directory_ + "/server.pem";
  options.grpc.key_file = directory_ + "/server.key";
  options.oauth.listener.address = "127.0.0.1:0";
  options.oauth.cert_file = options.grpc.cert_file;
  options.oauth.key_file = options.grpc.key_file;
  options.identity = identity;
  options.grpc.ask_for_certificates = !identity.spiffe().empty();
  if (wrap != nullptr) *store = wrap(*std::move(store));
  auto started = server::KeyferryServer::Start(std::make_unique<FillingStore>(*std::move(store), &store_full_), options,
                                               clock, logger_.get());
  if (!started.ok()) Die(started.status().ToString());
  server_ = *std::move(started);
  ca_ = ReadText(directory_ + "/ca.pem");
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = ca_;
  channel_ = grpc::CreateChannel(server_->address(), grpc::SslCredentials(tls));
}

void World::Populate() {
  for (const SetUpCall& call : SetUpCalls()) MustCall(call.who, call.method, call.request);
  for (const auto& [who, principal] :
       {std::pair(Who::kMember, "users/mia"), std::pair(Who::kOwner, "users/ola"),
        std::pair(Who::kTeamAdmin, "users/tim"), std::pair(Who::kTeamMember, "users/eli"),
        std::pair(Who::kOtherTeam, "users/ben"), std::pair(Who::kService, "services/portal"),
        std::pair(Who::kWorkload, "workloads/runner")}) {
    tokens_[who] = NewToken(absl::StrCat("orgs/acme/", principal), 90 * 3600);
  }
  for (const SetUpCall& call : SetUpCallsWithTokens()) MustCall(call.who, call.method, call.request);
  session_token_ = NewSession();
  Connect();
  WatchProcess();
}

void World::Connect() {
  for (const auto& [parent, provider] :
       {std::pair("", "idp"), std::pair("", "spare"), std::pair("teams/eng", "idp"), std::pair("teams/ops", "idp"),
        std::pair("users/mia", "idp"), std::pair("users/ben", "idp")}) {
    PutConnection(store(), now(), "acme", parent, provider);
  }
  PutConnection(store(), now(), "rival", "", "idp");
  v1::StartConnectionResponse started;
  started.ParseFromString(MustCall(Who::kMember, "ConnectionService.StartConnection",
                                   "parent: 'orgs/acme/users/mia' oauth_provider_id: 'idp'"));
  attempt_ = started.attempt().name();
}

std::string World::NewSession() {
  v1::CreateSessionResponse created;
  created.ParseFromString(MustCall(Who::kService, "SessionService.CreateSession",
                                   "parent: 'orgs/acme' session { user: 'orgs/acme/users/mia' "
                                   "mcp_servers: 'orgs/acme/mcpServers/github' } ttl { seconds: 86400 }"));
  return created.token();
}

void World::WatchProcess() {
  const auto entries = [this]() -> uint64_t {
    if (!store()->Sync().ok()) Die("the store does not sync");
    const auto head = storage::ReadJournalHead(*store()->View(), "acme");
    return head.ok() ? head->last_sequence : 0;
  };
  const uint64_t before = entries();
  v1::WatchResponse watched;
  watched.ParseFromString(MustCall(Who::kWorkload, "ResolutionService.Watch",
                                   "confirms: true resolve { mcp_server: 'orgs/acme/mcpServers/github' "
                                   "process { process_id: 'confirming' } }"));
  process_ = watched.environment().process();
  revision_ = watched.environment().revision();
  // The entry of what was sent, and that of the end, which comes when the server has noticed it.
  while (entries() < before + 2) absl::SleepFor(absl::Milliseconds(1));
}

void World::LearnWords() {
  words_.clear();
  v1::Org org;
  org.ParseFromString(MustCall(Who::kAdmin, "DirectoryService.GetOrg", R"(name: "orgs/acme")"));
  words_.emplace_back("$ORG_ETAG", org.etag());
  v1::McpServer github;
  github.ParseFromString(
      MustCall(Who::kAdmin, "McpServerService.GetMcpServer", R"(name: "orgs/acme/mcpServers/github")"));
  words_.emplace_back("$GITHUB_ETAG", github.etag());
  v1::ListTokensResponse tokens;
  tokens.ParseFromString(MustCall(Who::kAdmin, "TokenService.ListTokens", R"(parent: "orgs/acme/users/mia")"));
  words_.emplace_back("$TOKEN", tokens.tokens(0).name());
  v1::ListSessionsResponse sessions;
  const auto list_sessions = [&] {
    sessions.ParseFromString(MustCall(Who::kAdmin, "SessionService.ListSessions", R"(parent: "orgs/acme")"));
  };
  list_sessions();
  if (sessions.sessions().empty()) {
    NewSession();
    list_sessions();
  }
  words_.emplace_back("$SESSION", sessions.sessions(0).name());
  words_.emplace_back("$ATTEMPT", attempt_);
  words_.emplace_back("$PROCESS", process_);
  words_.emplace_back("$REVISION", absl::StrCat(revision_));
  v1::ListUsersResponse users;
  users.ParseFromString(MustCall(Who::kAdmin, "DirectoryService.ListUsers", R"(parent: "orgs/acme" page_size: 1)"));
  std::string token = users.next_page_token();
  words_.emplace_back("$PAGE_TOKEN", token);
  token[3] = token[3] == 'A' ? 'B' : 'A';
  words_.emplace_back("$CHANGED_PAGE_TOKEN", token);
}

std::string World::Fill(const std::string& text) const { return absl::StrReplaceAll(text, words_); }

grpc::Status World::Call(Who who, const std::string& method, const std::string& request, std::string* response) {
  std::vector<std::string> authorizations;
  if (who != Who::kNobody) authorizations.push_back(Bearer(who));
  return CallBytes(authorizations, method, MakeRequest(method, Fill(request))->SerializeAsString(), response);
}

grpc::Status World::CallBytes(const std::vector<std::string>& authorizations, const std::string& method,
                              const std::string& request, std::string* response) {
  grpc::GenericStub stub(channel_);
  return CallAny(&stub, authorizations, method, request, response);
}

std::string World::MustCall(Who who, const std::string& method, const std::string& request) {
  std::string response;
  const grpc::Status status = Call(who, method, request, &response);
  if (!status.ok()) Die(absl::StrCat(method, " ", request, ": ", status.error_message()));
  return response;
}

std::string World::Bearer(Who who) const { return absl::StrCat("Bearer ", tokens_.at(who)); }

std::string World::NewToken(const std::string& principal, int ttl_seconds) {
  v1::CreateTokenResponse created;
  created.ParseFromString(MustCall(Who::kAdmin, "TokenService.CreateToken",
                                   absl::StrCat("parent: '", principal, "' ttl { seconds: ", ttl_seconds, " }")));
  return created.token();
}

Digest World::TakeDigest() {
  const std::vector<SetUpCall> reads = DigestCalls();
  grpc::GenericStub stub(channel_);
  grpc::CompletionQueue queue;
  std::vector<PendingCall> pending(reads.size());
  for (size_t i = 0; i < reads.size(); ++i) {
    pending[i].Start(&stub, {Bearer(reads[i].who)}, reads[i].method,
                     MakeRequest(reads[i].method, reads[i].request)->SerializeAsString(), &queue);
  }
  for (size_t i = 0; i < reads.size(); ++i) AwaitOne(&queue);
  Digest digest;
  for (size_t i = 0; i < reads.size(); ++i) {
    const std::unique_ptr<google::protobuf::Message> response = MakeResponse(reads[i].method);
    response->ParseFromString(pending[i].ResponseBytes());
    // Both count reads as well: a resolution is recorded, with a revision and a seal of its own.
    for (const char* counter : {"seal_count", "revision"}) {
      const auto* field = response->GetDescriptor()->FindFieldByName(counter);
      if (field != nullptr) response->GetReflection()->ClearField(response.get(), field);
    }
    digest[absl::StrCat(reads[i].method, " ", reads[i].request)] =
        absl::StrCat(static_cast<int>(pending[i].status.error_code()), " ", response->SerializeAsString());
  }
  return digest;
}

std::string World::WhatIsWrong(const grpc::Status& status) const {
  static constexpr grpc::StatusCode kExpected[] = {
      grpc::INVALID_ARGUMENT, grpc::UNAUTHENTICATED,     grpc::PERMISSION_DENIED, grpc::NOT_FOUND,
      grpc::ALREADY_EXISTS,   grpc::FAILED_PRECONDITION, grpc::ABORTED,           grpc::RESOURCE_EXHAUSTED};
  const bool expected =
      std::find(std::begin(kExpected), std::end(kExpected), status.error_code()) != std::end(kExpected);
  if (!expected) return absl::StrCat("code ", static_cast<int>(status.error_code()), ": ", status.error_message());
  rpc::RpcStatus wire;
  v1::ErrorDetail detail;
  if (!wire.ParseFromString(status.error_details())) return "the details are not a google.rpc.Status";
  if (wire.code() != status.error_code() || wire.message() != status.error_message()) return "two different errors";
  if (wire.details_size() != 1 || !wire.details(0).UnpackTo(&detail)) return "no ErrorDetail";
  if (status.error_message().empty()) return "no message";
  if (detail.reason().empty()) return "no reason";
  if (detail.next_step().empty()) return "no next step";
  if (status.error_code() == grpc::INVALID_ARGUMENT && detail.field().empty()) return "no field";
  const std::string everything = absl::StrCat(status.error_message(), status.error_details());
  if (absl::StrContains(everything, kMarker)) return "shows a value";
  for (const auto& [who, token] : tokens_) {
    // Its random part alone would do.
    if (absl::StrContains(everything, token.substr(5, 20))) return "shows a token";
  }
  if (!session_token_.empty() && absl::StrContains(everything, session_token_.substr(session_token_.size() - 20))) {
    return "shows a session's token";
  }
  return "";
}

}  // namespace keyferry::testing
