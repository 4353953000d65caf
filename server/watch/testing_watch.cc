#include "server/watch/testing_watch.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "keyferry/v1/audit.pb.h"
#include "server/errors.h"
#include "storage/journal.h"

namespace keyferry::server {

void RecordingSink::Write(storage::Wiped<v1::WatchResponse> message) {
  EXPECT_FALSE(in_flight);
  EXPECT_EQ(end.code(), absl::StatusCode::kUnknown);
  in_flight = true;
  ++messages;
  switch (message->event_case()) {
    case v1::WatchResponse::kEnvironment: {
      EXPECT_GT(static_cast<storage::Revision>(message->environment().revision()), revision);
      revision = static_cast<storage::Revision>(message->environment().revision());
      std::string text = "env";
      for (const v1::ResolvedVariable& variable : message->environment().variables()) {
        absl::StrAppend(&text, " ", variable.variable(), "=v", variable.version(), ":", variable.value());
      }
      words_.push_back(text);
      break;
    }
    case v1::WatchResponse::kProblem:
      words_.push_back("problem " + message->problem().reason());
      break;
    default:
      EXPECT_GE(static_cast<storage::Revision>(message->heartbeat().revision()), revision);
      words_.push_back("heartbeat");
  }
}

void RecordingSink::Finish(const absl::Status& status) {
  EXPECT_FALSE(in_flight);
  EXPECT_EQ(end.code(), absl::StatusCode::kUnknown) << "finished twice";
  end = status;
  const std::string reason = DetailOf(status).reason();
  words_.push_back("end " + (reason.empty() ? absl::StatusCodeToString(status.code()) : reason));
}

std::string RecordingSink::Take() {
  const std::string text = absl::StrJoin(words_, "; ");
  words_.clear();
  return text;
}

WatchOptions WatchWorld::NoThreads() {
  WatchOptions options;
  options.threads = 0;
  return options;
}

WatchWorld::WatchWorld(storage::EngineKind engine, WatchOptions options)
    : world(engine),
      servers(world.store.get(), world.clock(), &world.pages),
      resolver(world.store.get(), world.clock(), world.usage.get(), &processes) {
  if (options.threads == 0) options.monotonic_clock = [this] { return monotonic; };
  auto started = WatchHub::Start(
      world.store.get(), &resolver, &processes, [this](const std::string& hash, bool) { return CallerOf(hash); },
      world.clock(), options, &refresher);
  EXPECT_TRUE(started.ok()) << started.status();
  hub = *std::move(started);
}

WatchWorld::~WatchWorld() {
  if (hub == nullptr) return;
  hub->Drain();
  hub->RunDue();
  Ack();
}

absl::StatusOr<std::shared_ptr<const Caller>> WatchWorld::CallerOf(const std::string& user) {
  Caller caller = world.As(user);
  if (const auto found = callers.find(user); found != callers.end()) {
    if (!found->second.ok()) return found->second.status();
    caller = *found->second;
  }
  if (caller.token_expire_time <= world.now) return absl::UnauthenticatedError("expired");
  caller.token_hash = user;
  caller.token_parent = "users/" + user;
  caller.token_id = "t";
  return std::make_shared<const Caller>(std::move(caller));
}

void WatchWorld::Apply(const std::string& name, const std::vector<std::string>& bindings, const std::string& arg) {
  v1::ApplyMcpServerRequest request;
  request.mutable_mcp_server()->set_name(name);
  request.mutable_mcp_server()->set_transport(v1::MCP_TRANSPORT_STDIO);
  request.mutable_mcp_server()->set_command("true");
  if (!arg.empty()) request.mutable_mcp_server()->add_args(arg);
  for (const std::string& text : bindings) {
    v1::EnvBinding* binding = request.mutable_mcp_server()->add_env();
    const size_t end = text.find_first_of("=:@");
    const std::string source = text.substr(end + 1);
    binding->set_variable(text.substr(0, end));
    if (text[end] == '=') binding->set_org_secret(source);
    if (text[end] == ':') binding->set_static_(source);
    if (text[end] == '@') binding->set_oauth(source);
  }
  const auto applied = servers.ApplyMcpServer(world.As("root"), request);
  ASSERT_TRUE(applied.ok()) << applied.status();
}

void WatchWorld::Rotate(const std::string& credential, const std::string& value) {
  v1::RotateCredentialRequest request;
  request.set_name(credential);
  request.set_value(value);
  const auto rotated = world.credentials->RotateCredential(world.As("root"), request);
  ASSERT_TRUE(rotated.ok()) << rotated.status();
}

void WatchWorld::Delete(const std::string& credential) {
  v1::DeleteCredentialRequest request;
  request.set_name(credential);
  const ParentName parent = ParseChild(credential, "credentials", "name")->parent;
  const auto deleted =
      world.credentials->DeleteCredential(world.As(parent.kind == ParentName::kUser ? parent.id : "root"), request);
  ASSERT_TRUE(deleted.ok()) << deleted.status();
}

void WatchWorld::Override(const std::string& user, const std::string& id, const std::string& value) {
  world.Create(world.As(user), "orgs/acme/users/" + user, id, value);
}

WatchWorld::Watch* WatchWorld::Open(const std::string& user, const v1::WatchRequest& request) {
  watches_.push_back(std::make_unique<Watch>());
  Watch* const watch = watches_.back().get();
  const auto caller = CallerOf(user);
  EXPECT_TRUE(caller.ok()) << caller.status();
  const auto id = hub->Open(**caller, request, &watch->sink);
  watch->opened = id.status();
  if (id.ok()) {
    watch->id = *id;
    Settle();
  }
  return watch;
}

WatchWorld::Watch* WatchWorld::Open(const std::string& user, const std::string& mcp_server, storage::Revision resume) {
  v1::WatchRequest request;
  request.mutable_resolve()->set_mcp_server(mcp_server);
  request.set_resume_revision(static_cast<int64_t>(resume));
  return Open(user, request);
}

void WatchWorld::Ack() {
  for (const std::unique_ptr<Watch>& watch : watches_) {
    if (!std::exchange(watch->sink.in_flight, false)) continue;
    hub->OnWritten(watch->id, /*written=*/true);
  }
}

void WatchWorld::Notice() {
  ASSERT_TRUE(world.store->Sync().ok());
  hub->AwaitRevision(world.store->View()->revision());
}

void WatchWorld::Settle() {
  Notice();
  hub->RunDue();
  if (slow) return;
  Ack();
  hub->RunDue();
}

void WatchWorld::Pass(absl::Duration by) {
  Notice();
  monotonic += by;
  Settle();
}

int WatchWorld::UsageEvents() {
  int events = 0;
  const auto damage = storage::VerifyJournal(*world.store->View(), "acme", [&](const storage::JournalEntry& stored) {
    v1::AuditEntry entry;
    EXPECT_TRUE(entry.ParseFromString(stored.payload));
    if (entry.method() == "ResolutionService/Watch") ++events;
  });
  EXPECT_TRUE(damage.ok() && !damage->has_value());
  return events;
}

}  // namespace keyferry::server
