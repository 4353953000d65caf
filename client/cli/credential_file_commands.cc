#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/cli/commands.h"
#include "client/cli/context.h"
#include "client/cli/credential_scope.h"
#include "client/cli/held_warning.h"
#include "client/cli/value_input.h"
#include "client/credential_file.h"
#include "client/secret_text.h"
#include "keyferry/v1/credentials.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

using Stub = v1::CredentialService::Stub;

// The largest request of these methods; a file can hardly be larger than what it asks for.
constexpr size_t kMaxFile = 4 * 1024 * 1024;
constexpr size_t kMaxRotations = 100;
constexpr size_t kMaxEntries = 1000;

constexpr char kFileHelp[] =
    "FILE is one of\n"
    "  dotenv   NAME=value, NAME='raw value' or NAME=\"a\\nb\", one each line, `export` and # comments allowed;\n"
    "           what readers of such files treat differently is refused (docs/cli.md)\n"
    "  json     {\"NAME\": \"value\", \"OTHER\": {\"value\": \"...\", \"description\": \"...\", \"rotateBy\": "
    "\"2027-01-31\"}}\n"
    "  yaml     the same as a mapping\n"
    "The format is that of the file's name (.json, .yaml, .yml; else dotenv) unless --format says otherwise.\n"
    "All or nothing is stored. No value is shown, whatever is wrong with the file.";

// A request whose values are overwritten at the end.
template <typename Request>
class ScopedRequest {
 public:
  ScopedRequest() = default;
  ScopedRequest(const ScopedRequest&) = delete;
  ScopedRequest& operator=(const ScopedRequest&) = delete;
  ~ScopedRequest() {
    for (std::string* value : values_) WipeString(*value);
  }

  Request* operator->() { return &request_; }
  const Request& operator*() const { return request_; }

  // `field` is a field of the request.
  void SetValue(std::string* field, const SecretText& value) {
    field->assign(value.Expose().data(), value.size());
    values_.push_back(field);
  }

 private:
  Request request_;
  std::vector<std::string*> values_;
};

CredentialFileFormat FormatOf(const Arguments& arguments, const std::string& file) {
  const std::string& format = arguments.Text("--format");
  if (format == "json" || (format.empty() && absl::EndsWithIgnoreCase(file, ".json"))) {
    return CredentialFileFormat::kJson;
  }
  const bool yaml = absl::EndsWithIgnoreCase(file, ".yaml") || absl::EndsWithIgnoreCase(file, ".yml");
  if (format == "yaml" || (format.empty() && yaml)) return CredentialFileFormat::kYaml;
  return CredentialFileFormat::kDotenv;
}

Outcome ReadCredentials(const Context& context, const Arguments& arguments, std::vector<FileCredential>* credentials) {
  const std::string& file = arguments.Text("--file");
  const bool standard_input = file == "-";
  const std::string where = standard_input ? "standard input" : file;
  const int fd = standard_input ? context.streams().input : open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return BadData(absl::StrCat("cannot open (", strerror(errno), "): ", file, "; check the file's name"));
  SecretText text;
  Outcome outcome = ReadAll(fd, kMaxFile, where, &text);
  if (!standard_input) close(fd);
  KEYFERRY_RETURN_IF_FAILED(std::move(outcome));
  if (text.size() > kMaxFile) return BadData(absl::StrCat("longer than 4 MiB: ", where, "; split it"));
  absl::StatusOr<std::vector<FileCredential>> parsed =
      ParseCredentialFile(text.Expose(), FormatOf(arguments, file), where);
  if (!parsed.ok()) return BadData(absl::StrCat(parsed.status().message(), "; nothing was changed"));
  *credentials = *std::move(parsed);
  return std::nullopt;
}

Outcome CheckSize(size_t bytes, const std::string& file) {
  if (bytes <= kMaxFile) return std::nullopt;
  return BadData(absl::StrCat("more than 4 MiB in one call: ", file, "; nothing was changed, split the file"));
}

void SetSeconds(absl::Time time, google::protobuf::Timestamp* timestamp) {
  timestamp->set_seconds(absl::ToUnixSeconds(time));
}

std::vector<std::string> NamesOf(const std::vector<FileCredential>& credentials, const std::string& parent) {
  std::vector<std::string> names;
  for (const FileCredential& one : credentials) names.push_back(absl::StrCat(parent, "/credentials/", one.name));
  return names;
}

Outcome Import(Context& context, const Arguments& arguments) {
  std::vector<FileCredential> credentials;
  KEYFERRY_RETURN_IF_FAILED(ReadCredentials(context, arguments, &credentials));
  if (credentials.size() > kMaxEntries) {
    return BadData(absl::StrCat("more than 1000 credentials: ", arguments.Text("--file"),
                                "; nothing was changed, split the file"));
  }
  ScopedRequest<v1::ImportCredentialsRequest> request;
  KEYFERRY_RETURN_IF_FAILED(CredentialParent(context, arguments, request->mutable_parent()));
  for (const FileCredential& credential : credentials) {
    v1::ImportEntry* entry = request->add_entries();
    entry->set_credential_id(credential.name);
    entry->set_description(credential.description);
    if (credential.rotate_by != absl::InfinitePast()) SetSeconds(credential.rotate_by, entry->mutable_rotate_by());
    request.SetValue(entry->mutable_value(), credential.value);
  }
  v1::ImportConflict conflict = v1::IMPORT_CONFLICT_FAIL;
  v1::ImportConflict_Parse(absl::StrCat("IMPORT_CONFLICT_", absl::AsciiStrToUpper(arguments.Text("--on-conflict"))),
                           &conflict);
  request->set_conflict(conflict);
  if (arguments.Has("--grace")) {
    request->mutable_grace()->set_seconds(absl::ToInt64Seconds(arguments.Duration("--grace")));
  }
  request->set_validate_only(arguments.Has("--dry-run"));
  KEYFERRY_RETURN_IF_FAILED(CheckSize((*request).ByteSizeLong(), arguments.Text("--file")));
  if (conflict == v1::IMPORT_CONFLICT_ROTATE) NoteHoldersOfAny(context, NamesOf(credentials, request->parent()));
  v1::ImportCredentialsResponse response;
  KEYFERRY_RETURN_IF_FAILED(context.Call(arguments.Has("--dry-run") ? Idempotent::kYes : Idempotent::kNo,
                                         &Stub::ImportCredentials, *request, &response));
  const std::vector<v1::ImportResult> results(response.results().begin(), response.results().end());
  context.PrintList(results, {{"NAME", "name", true}, {"ACTION", "action"}, {"VERSION", "version"}});
  if (arguments.Has("--dry-run")) *context.streams().error << "keyferry: note: a dry run; nothing was changed\n";
  return std::nullopt;
}

Outcome RotateMany(Context& context, const Arguments& arguments) {
  std::vector<FileCredential> credentials;
  KEYFERRY_RETURN_IF_FAILED(ReadCredentials(context, arguments, &credentials));
  if (credentials.size() > kMaxRotations) {
    return BadData(
        absl::StrCat("more than 100 credentials: ", arguments.Text("--file"), "; nothing was changed, split the file"));
  }
  ScopedRequest<v1::BatchRotateCredentialsRequest> request;
  std::string parent;
  KEYFERRY_RETURN_IF_FAILED(CredentialParent(context, arguments, &parent));
  KEYFERRY_RETURN_IF_FAILED(context.Org(request->mutable_parent()));
  for (const FileCredential& credential : credentials) {
    if (!credential.description.empty() || credential.rotate_by != absl::InfinitePast()) {
      return BadData(absl::StrCat("a rotation changes the value alone: ", credential.name,
                                  "; leave description and rotateBy out, or use `keyferry credential import`"));
    }
    v1::RotateCredentialRequest* one = request->add_requests();
    one->set_name(absl::StrCat(parent, "/credentials/", credential.name));
    if (arguments.Has("--grace")) {
      one->mutable_grace()->set_seconds(absl::ToInt64Seconds(arguments.Duration("--grace")));
    }
    request.SetValue(one->mutable_value(), credential.value);
  }
  KEYFERRY_RETURN_IF_FAILED(CheckSize((*request).ByteSizeLong(), arguments.Text("--file")));
  NoteHoldersOfAny(context, NamesOf(credentials, parent));
  v1::BatchRotateCredentialsResponse response;
  KEYFERRY_RETURN_IF_FAILED(context.Call(Idempotent::kNo, &Stub::BatchRotateCredentials, *request, &response));
  const std::vector<v1::Credential> rotated(response.credentials().begin(), response.credentials().end());
  context.PrintList(rotated, {{"NAME", "name", true},
                              {"SCOPE", "scope"},
                              {"VERSION", "version"},
                              {"PREVIOUS-VERSION", "previous_version"},
                              {"DESTROYED", "previous_version_destroy_time"}});
  return std::nullopt;
}

}  // namespace

void AddCredentialFileCommands(CommandTree& tree) {
  Option file = {"-f,--file", ValueKind::kFile, "FILE", "File to read (- is standard input)"};
  file.required = true;
  const Option format = {"--format", ValueKind::kText, "FORMAT", "Format of the file", {"dotenv", "json", "yaml"}};
  tree.commands.push_back(
      {"credential import",
       "Create many credentials from a file, all or none",
       kFileHelp,
       {},
       {file,
        format,
        CredentialTeamOption(),
        CredentialMeOption(),
        {"--on-conflict",
         ValueKind::kText,
         "ACTION",
         "What to do with a name that is stored already (default: fail)",
         {"fail", "rotate", "skip"}},
        GraceOption(),
        {"--dry-run", ValueKind::kFlag, "", "Check everything, say what would be done, change nothing"}},
       {{"--team", "--me"}},
       Import});
  tree.commands.push_back({"credential rotate-many",
                           "Store new values of many credentials from a file, all or none",
                           kFileHelp,
                           {},
                           {file, format, CredentialTeamOption(), CredentialMeOption(), GraceOption()},
                           {{"--team", "--me"}},
                           RotateMany});
}

}  // namespace keyferry::client::cli
