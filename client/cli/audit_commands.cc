#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/audit_file.h"
#include "client/cli/commands.h"
#include "client/cli/context.h"
#include "client/files.h"
#include "keyferry/v1/audit.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

using Stub = v1::AuditService::Stub;

constexpr size_t kMaxHeadBytes = 64 << 10;
constexpr int kDefaultLimit = 100;
constexpr int kPageSize = 1000;

// A full resource name from "orgs/...", from one below the organization, or from an id of the collection.
std::string FullName(const std::string& org, const std::string& collection, const std::string& text) {
  if (text.empty() || text == org || absl::StartsWith(text, "orgs/")) return text;
  return absl::StrContains(text, "/") ? absl::StrCat(org, "/", text) : absl::StrCat(org, "/", collection, "/", text);
}

void SetTime(const Arguments& arguments, const std::string& option, google::protobuf::Timestamp* time) {
  const absl::Time given = arguments.Time(option);
  time->set_seconds(absl::ToUnixSeconds(given));
  time->set_nanos(static_cast<int32_t>((given - absl::FromUnixSeconds(time->seconds())) / absl::Nanoseconds(1)));
}

Outcome List(Context& context, const Arguments& arguments) {
  v1::ListAuditEntriesRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_parent()));
  v1::AuditFilter& filter = *request.mutable_filter();
  filter.set_principal(FullName(request.parent(), "users", arguments.Text("--principal")));
  filter.set_method(arguments.Text("--method"));
  filter.set_resource(FullName(request.parent(), "credentials", arguments.Text("--resource")));
  filter.set_failed(arguments.Has("--failed"));
  if (arguments.Has("--since")) SetTime(arguments, "--since", filter.mutable_since());
  if (arguments.Has("--until")) SetTime(arguments, "--until", filter.mutable_until());
  size_t limit = kDefaultLimit;
  if (arguments.Has("--limit")) {
    const std::string& text = arguments.Text("--limit");
    if (text.empty() || text.size() > 7 || text.find_first_not_of("0123456789") != std::string::npos || text == "0") {
      return UsageFailure(absl::StrCat("not a number of entries: --limit ", text, "; give 1 to 9999999"));
    }
    limit = std::stoul(text);
  }
  std::vector<v1::AuditEntry> entries;
  do {
    request.set_page_size(static_cast<int32_t>(std::min<size_t>(limit - entries.size(), kPageSize)));
    v1::ListAuditEntriesResponse response;
    KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kYes, &Stub::ListAuditEntries, request, &response));
    entries.insert(entries.end(), response.entries().begin(), response.entries().end());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty() && entries.size() < limit);
  context.PrintList(entries, {{"SEQUENCE", "sequence"},
                              {"TIME", "time"},
                              {"PRINCIPAL", "principal"},
                              {"METHOD", "method"},
                              {"RESOURCE", "resource"},
                              {"REASON", "reason"}});
  return std::nullopt;
}

Outcome ReadHead(Context& context, std::string* org, v1::AuditHead* head) {
  v1::GetAuditHeadRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_parent()));
  *org = request.parent();
  return context.Call(Idempotent::kYes, &Stub::GetAuditHead, request, head);
}

Outcome Head(Context& context, const Arguments&) {
  std::string org;
  v1::AuditHead head;
  KEYFERRY_RETURN_IF_FAILED(ReadHead(context, &org, &head));
  context.printer().Message(head);
  return std::nullopt;
}

// Pages come newest first and are wanted oldest first: each is kept in a temporary file until all are there.
class Spool {
 public:
  Spool() : file_(std::tmpfile(), &std::fclose) {}

  bool ok() const { return file_ != nullptr && std::ferror(file_.get()) == 0; }

  // A page's lines, its newest entry first.
  void Add(const std::vector<std::string>& lines) {
    size_t size = 0;
    for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
      size += std::fwrite(line->data(), 1, line->size(), file_.get());
    }
    sizes_.push_back(size);
    total_ += static_cast<long>(size);
  }

  // Hands out the pages from the last to the first.
  template <typename Visit>
  bool ForEachFromLast(Visit visit) {
    long end = total_;
    for (auto size = sizes_.rbegin(); size != sizes_.rend(); ++size) {
      end -= static_cast<long>(*size);
      std::string page(*size, '\0');
      if (std::fseek(file_.get(), end, SEEK_SET) != 0) return false;
      if (std::fread(page.data(), 1, page.size(), file_.get()) != page.size()) return false;
      visit(page);
    }
    return ok();
  }

 private:
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_;
  std::vector<size_t> sizes_;
  long total_ = 0;
};

Failure SpoolFailure() {
  return {ExitCode::kOther, absl::StrCat("a temporary file cannot be used: ", std::strerror(errno),
                                         "; make room where temporary files are kept")};
}

Outcome Export(Context& context, const Arguments&) {
  std::string parent;
  v1::AuditHead head;
  KEYFERRY_RETURN_IF_FAILED(ReadHead(context, &parent, &head));
  const std::string org = parent.substr(sizeof("orgs/") - 1);
  Spool spool;
  if (!spool.ok()) return SpoolFailure();
  v1::ListAuditEntriesRequest request;
  request.set_parent(parent);
  request.set_page_size(kPageSize);
  int64_t next = head.sequence();
  do {
    v1::ListAuditEntriesResponse response;
    KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kYes, &Stub::ListAuditEntries, request, &response));
    std::vector<std::string> lines;
    for (const v1::AuditEntry& entry : response.entries()) {
      // Newer than the head, the reading of it included.
      if (entry.sequence() > head.sequence()) continue;
      if (entry.sequence() == next) --next;
      lines.push_back(AuditEntryLine(org, entry));
    }
    spool.Add(lines);
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  if (next + 1 > head.first_sequence() && head.sequence() != 0) {
    return Failure{ExitCode::kOther, absl::StrCat("the audit log is not whole: entry ", next,
                                                  " is missing; if entries were pruned just now, repeat the export")};
  }
  if (!spool.ForEachFromLast([&](const std::string& page) { context.printer().Raw(page); })) return SpoolFailure();
  context.printer().Raw(AuditHeadLine(org, head));
  return std::nullopt;
}

Outcome Expected(const Arguments& arguments, std::optional<v1::AuditHead>* head) {
  if (!arguments.Has("--expected")) return std::nullopt;
  const std::string& path = arguments.Text("--expected");
  const absl::StatusOr<std::string> text = ReadFile(path, "noted head", kMaxHeadBytes);
  if (!text.ok()) return UsageFailure(std::string(text.status().message()));
  const absl::StatusOr<v1::AuditHead> parsed = ParseAuditHead(*text, path);
  if (!parsed.ok()) return BadData(std::string(parsed.status().message()));
  *head = *parsed;
  return std::nullopt;
}

Outcome VerifyFiles(Context& context, const Arguments& arguments, std::optional<v1::AuditHead> expected) {
  const bool has_expected = expected.has_value();
  AuditVerifier verifier(std::move(expected));
  for (const std::string& path : arguments.Texts("--file")) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return UsageFailure(absl::StrCat("cannot be read: ", path, "; ", std::strerror(errno)));
    const absl::Status read = verifier.Read(file, path);
    if (!read.ok()) return BadData(absl::StrCat("the audit log is not intact: ", read.message()));
  }
  const absl::Status finished = verifier.Finish();
  if (absl::IsFailedPrecondition(finished)) return UsageFailure(std::string(finished.message()));
  if (!finished.ok()) return BadData(absl::StrCat("the audit log is not intact: ", finished.message()));
  const bool complete = verifier.ends_with_heads();
  std::vector<Fact> facts = {{"intact", "Intact", "true"},
                             {"entryCount", "Entries", absl::StrCat(verifier.entry_count())},
                             {"endsWithHead", "Ends with a head", complete ? "true" : "false"}};
  if (has_expected) facts.push_back({"containsExpected", "Contains the expected head", "true"});
  context.printer().Facts(facts);
  if (!complete) {
    *context.streams().error << "keyferry: note: without a head at its end a file does not tell whether entries were "
                                "cut off there\n";
  }
  return std::nullopt;
}

Outcome Verify(Context& context, const Arguments& arguments) {
  std::optional<v1::AuditHead> expected;
  KEYFERRY_RETURN_IF_FAILED(Expected(arguments, &expected));
  if (arguments.Has("--file")) return VerifyFiles(context, arguments, std::move(expected));
  v1::VerifyAuditLogRequest request;
  KEYFERRY_RETURN_IF_FAILED(context.Org(request.mutable_parent()));
  if (expected.has_value()) *request.mutable_expected() = *expected;
  v1::VerifyAuditLogResponse response;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kYes, &Stub::VerifyAuditLog, request, &response));
  context.printer().Message(response);
  if (response.intact()) return std::nullopt;
  return BadData(
      absl::StrCat("the audit log is not intact: entry ", response.broken_sequence(), ": ", response.problem()));
}

}  // namespace

void AddAuditCommands(CommandTree& tree) {
  tree.groups.push_back({"audit", "Read and check the audit log"});
  tree.commands.push_back(
      {"audit list",
       "List calls, newest first",
       "An ADMIN sees every call, a team's OWNER or ADMIN those of the team, everybody else their own.",
       {},
       {{"--principal", ValueKind::kText, "ID", "Only calls of this user (users/ID, services/ID, workloads/ID)"},
        {"--method", ValueKind::kText, "METHOD", "Only this method (CredentialService/GetCredential), or a service's"},
        {"--resource", ValueKind::kText, "NAME",
         "Only calls about this resource or anything below it: a credential's name, teams/T, mcpServers/M, ..."},
        {"--failed", ValueKind::kFlag, "", "Only calls that failed"},
        {"--since", ValueKind::kTime, "TIME", "Only calls from this time on"},
        {"--until", ValueKind::kTime, "TIME", "Only calls before this time"},
        {"--limit", ValueKind::kText, "N", "At most so many entries (default 100)"}},
       {},
       List});
  tree.commands.push_back(
      {"audit head",
       "Show the newest end of the chain",
       "Note it where the server's operator cannot change it, and give it to `audit verify` later:\n"
       "  keyferry audit head -o json > head.json",
       {},
       {},
       {},
       Head});
  tree.commands.push_back({"audit export",
                           "Write the whole log as JSON lines, oldest first, with the head as the last line",
                           "",
                           {},
                           {},
                           {},
                           Export});
  Option file = {"-f,--file", ValueKind::kFile, "FILE",
                 "Check this export or stream without a server; repeated for files that continue one another"};
  file.repeated = true;
  tree.commands.push_back({"audit verify",
                           "Check that the log is whole and unchanged",
                           "Against the server, or without one on files that `audit export` or a stream wrote.",
                           {},
                           {file,
                            {"--expected", ValueKind::kFile, "FILE",
                             "A head that was noted earlier (`audit head -o json`); the log must contain it"}},
                           {},
                           Verify});
}

}  // namespace keyferry::client::cli
