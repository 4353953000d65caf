#include "client/cli/context.h"

#include <errno.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "keyferry/v1/tokens.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

constexpr absl::Duration kDefaultTimeout = absl::Seconds(30);

// One line from a terminal, without its newline.
std::string ReadLine(int fd) {
  std::string line;
  char c = 0;
  for (;;) {
    const ssize_t count = read(fd, &c, 1);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0 || c == '\n') return line;
    line.push_back(c);
  }
}

Failure SettingsFailure(const absl::Status& status) { return UsageFailure(std::string(status.message())); }

}  // namespace

Outcome Context::Connect(const Connection** connection) {
  if (connection_ == nullptr) {
    ConnectionOptions flags;
    flags.address = globals_.Text("--address");
    flags.ca_file = globals_.Text("--ca-file");
    flags.token_file = globals_.Text("--token-file");
    flags.client_cert_file = globals_.Text("--client-cert-file");
    flags.client_key_file = globals_.Text("--client-key-file");
    flags.org = globals_.Text("--org");
    flags.profile = globals_.Text("--profile");
    absl::StatusOr<ConnectionOptions> options = LoadConnectionOptions(flags, streams_.environment);
    if (!options.ok()) return SettingsFailure(options.status());
    absl::StatusOr<std::unique_ptr<Connection>> opened = Connection::Open(*options);
    if (!opened.ok()) return SettingsFailure(opened.status());
    connection_ = *std::move(opened);
  }
  *connection = connection_.get();
  return std::nullopt;
}

Outcome Context::Org(std::string* name) {
  const Connection* connection = nullptr;
  KEYFERRY_RETURN_IF_FAILED(Connect(&connection));
  const absl::Status given = RequireOrg(connection->options());
  if (!given.ok()) return SettingsFailure(given);
  const std::string& org = connection->options().org;
  if (absl::StrContains(org, "/")) {
    return BadData(absl::StrCat("an organization's id has no slash: ", org, "; give the id alone"));
  }
  *name = absl::StrCat("orgs/", org);
  return std::nullopt;
}

std::string Context::GivenOrg() const {
  if (!globals_.Text("--org").empty()) return globals_.Text("--org");
  const char* const org = streams_.environment("KEYFERRY_ORG");
  return org == nullptr ? "" : org;
}

Outcome Context::Caller(v1::Caller* caller) {
  return Call(Idempotent::kYes, &v1::TokenService::Stub::GetCaller, v1::GetCallerRequest(), caller);
}

Outcome Context::CallingUser(std::string* name) {
  v1::Caller caller;
  KEYFERRY_RETURN_IF_FAILED(Caller(&caller));
  const std::vector<std::string> segments = absl::StrSplit(caller.principal(), '/');
  if (segments.size() != 4 || segments[2] != "users") {
    return UsageFailure(
        absl::StrCat("only a user has credentials of their own: you are ", caller.principal(), "; use a user's token"));
  }
  *name = caller.principal();
  return std::nullopt;
}

Outcome Context::ResourceName(const std::string& collection, const std::string& id, std::string* name) {
  if (absl::StartsWith(id, "orgs/")) {
    *name = id;
    return std::nullopt;
  }
  if (id.empty() || absl::StrContains(id, "/")) {
    return BadData(absl::StrCat("not an id of ", collection, ": ", id.empty() ? "(empty)" : id,
                                "; give the id alone or a full resource name"));
  }
  std::string org;
  KEYFERRY_RETURN_IF_FAILED(Org(&org));
  *name = absl::StrCat(org, "/", collection, "/", id);
  return std::nullopt;
}

Outcome Context::Confirm(const std::string& question, bool yes) {
  if (yes) return std::nullopt;
  if (!streams_.input_is_terminal) {
    return UsageFailure("confirmation needed: standard input is not a terminal; add --yes to go on without asking");
  }
  *streams_.error << question << " [y/N] " << std::flush;
  const std::string answer = ReadLine(streams_.input);
  if (answer == "y" || answer == "Y" || answer == "yes") return std::nullopt;
  return Failure{ExitCode::kOther, "nothing was changed: not confirmed; answer y to go on"};
}

CallPolicy Context::Policy(Idempotent idempotent) const {
  CallPolicy policy;
  policy.timeout = globals_.Has("--timeout") ? globals_.Duration("--timeout") : kDefaultTimeout;
  policy.idempotent = idempotent == Idempotent::kYes;
  return policy;
}

}  // namespace keyferry::client::cli
