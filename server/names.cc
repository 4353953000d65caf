#include "server/names.h"

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/errors.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr size_t kMaxNameBytes = 512;
constexpr size_t kMaxIdBytes = 63;
constexpr size_t kMaxVariableBytes = 128;
constexpr size_t kMaxValueBytes = size_t{64} << 10;
constexpr absl::string_view kOwnPrefix = "KEYFERRY_";

constexpr char kParentForms[] =
    "Use `orgs/{org}`, or below it `teams/{team}`, `users/{user}`, `services/{service}` or `workloads/{workload}`.";

struct CollectionOfKind {
  ParentName::Kind kind;
  absl::string_view collection;
};
constexpr std::array<CollectionOfKind, 4> kCollections = {{{ParentName::kTeam, "teams"},
                                                           {ParentName::kUser, "users"},
                                                           {ParentName::kService, "services"},
                                                           {ParentName::kWorkload, "workloads"}}};

absl::string_view CollectionOf(ParentName::Kind kind) {
  for (const CollectionOfKind& c : kCollections) {
    if (c.kind == kind) return c.collection;
  }
  return "";
}

bool IsIdEnd(char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c); }

bool IsIdMiddle(char c) { return IsIdEnd(c) || c == '.' || c == '_' || c == '-'; }

// Length of the UTF-8 sequence at the start of `text` (RFC 3629: no overlong forms, surrogates or code points above
// U+10FFFF), or 0 if there is none.
size_t Utf8SequenceLength(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  size_t length = 0;
  unsigned char second_low = 0x80;
  unsigned char second_high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) second_low = 0xA0;
    if (lead == 0xED) second_high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) second_low = 0x90;
    if (lead == 0xF4) second_high = 0x8F;
  }
  if (length == 0 || text.size() < length || byte(1) < second_low || byte(1) > second_high) return 0;
  for (size_t i = 2; i < length; ++i) {
    if (byte(i) < 0x80 || byte(i) > 0xBF) return 0;
  }
  return length;
}

// C0 and C1 controls and DEL; newline and tab are text.
bool IsControl(absl::string_view sequence) {
  const auto lead = static_cast<unsigned char>(sequence[0]);
  if (sequence.size() == 1) return (lead < 0x20 && lead != '\n' && lead != '\t') || lead == 0x7F;
  return lead == 0xC2 && static_cast<unsigned char>(sequence[1]) < 0xA0;
}

}  // namespace

std::string ParentName::Name() const {
  if (kind == kOrg) return absl::StrCat("orgs/", org);
  return absl::StrCat("orgs/", org, "/", RecordParent());
}

std::string ParentName::RecordParent() const {
  return kind == kOrg ? std::string() : absl::StrCat(CollectionOf(kind), "/", id);
}

v1::CredentialScope ParentName::Scope() const {
  switch (kind) {
    case kOrg:
      return v1::CREDENTIAL_SCOPE_ORG;
    case kTeam:
      return v1::CREDENTIAL_SCOPE_TEAM;
    case kUser:
      return v1::CREDENTIAL_SCOPE_USER;
    case kService:
    case kWorkload:
      break;
  }
  return v1::CREDENTIAL_SCOPE_UNSPECIFIED;
}

std::string ChildName::Name(absl::string_view collection) const {
  return absl::StrCat(parent.Name(), "/", collection, "/", id);
}

absl::StatusOr<ParentName> ParseParent(absl::string_view name, absl::string_view field) {
  if (name.empty()) return InvalidField(field, "required", kParentForms);
  if (name.size() > kMaxNameBytes) return InvalidField(field, "longer than 512 bytes", kParentForms);
  const std::vector<absl::string_view> segments = absl::StrSplit(name, '/');
  if ((segments.size() != 2 && segments.size() != 4) || segments[0] != "orgs") {
    return InvalidField(field, "not a resource name of this kind", kParentForms);
  }
  ParentName parent;
  RETURN_IF_ERROR(CheckId(segments[1], field));
  parent.org = std::string(segments[1]);
  if (segments.size() == 2) return parent;
  const auto* collection = std::find_if(kCollections.begin(), kCollections.end(),
                                        [&](const CollectionOfKind& c) { return c.collection == segments[2]; });
  if (collection == kCollections.end()) {
    return InvalidField(field, "not a resource name of this kind", kParentForms);
  }
  RETURN_IF_ERROR(CheckId(segments[3], field));
  parent.kind = collection->kind;
  parent.id = std::string(segments[3]);
  return parent;
}

absl::StatusOr<ChildName> ParseChild(absl::string_view name, absl::string_view collection, absl::string_view field) {
  const std::string form = absl::StrCat("Use `{parent}/", collection, "/{id}`.");
  if (name.empty()) return InvalidField(field, "required", form);
  if (name.size() > kMaxNameBytes) return InvalidField(field, "longer than 512 bytes", form);
  const size_t id_slash = name.rfind('/');
  if (id_slash == absl::string_view::npos || id_slash + 1 == name.size()) {
    return InvalidField(field, "not a resource name of this kind", form);
  }
  const size_t collection_slash = name.rfind('/', id_slash - 1);
  if (id_slash == 0 || collection_slash == absl::string_view::npos ||
      name.substr(collection_slash + 1, id_slash - collection_slash - 1) != collection) {
    return InvalidField(field, "not a resource name of this kind", form);
  }
  ChildName child;
  ASSIGN_OR_RETURN(child.parent, ParseParent(name.substr(0, collection_slash), field));
  child.id = std::string(name.substr(id_slash + 1));
  return child;
}

absl::Status CheckId(absl::string_view id, absl::string_view field) {
  constexpr char kForm[] = "Use lower-case letters, digits, `.`, `_` and `-`, with a letter or digit at both ends.";
  if (id.empty()) return InvalidField(field, "an id is missing", kForm);
  if (id.size() > kMaxIdBytes) return InvalidField(field, "an id is longer than 63 bytes", kForm);
  if (!IsIdEnd(id.front()) || !IsIdEnd(id.back()) || !std::all_of(id.begin(), id.end(), IsIdMiddle)) {
    return InvalidField(field, "an id has characters that are not allowed", kForm);
  }
  return absl::OkStatus();
}

absl::Status CheckVariableForm(absl::string_view name, absl::string_view field) {
  constexpr char kForm[] = "Use letters, digits and `_`, not starting with a digit, at most 128 bytes.";
  if (name.empty()) return InvalidField(field, "required", kForm);
  if (name.size() > kMaxVariableBytes) return InvalidField(field, "longer than 128 bytes", kForm);
  const bool shape = !absl::ascii_isdigit(name.front()) &&
                     std::all_of(name.begin(), name.end(), [](char c) { return absl::ascii_isalnum(c) || c == '_'; });
  if (!shape) return InvalidField(field, "not the name of an environment variable", kForm);
  if (absl::StartsWith(name, kOwnPrefix)) {
    return InvalidField(field, "refused, since Keyferry's own variables start with KEYFERRY_", "Choose another name.");
  }
  return absl::OkStatus();
}

absl::Status CheckVariableName(absl::string_view name, absl::string_view field) {
  RETURN_IF_ERROR(CheckVariableForm(name, field));
  return IsHijackingName(name) ? HijackingName(field) : absl::OkStatus();
}

absl::Status HijackingName(absl::string_view field) {
  return InvalidField(
      field, "refused, since this variable changes how a process starts",
      "Choose another name that no loader, shell or interpreter obeys, or ask an ADMIN to allow this one "
      "with `keyferry org allow-name`.");
}

bool IsHijackingName(absl::string_view name) {
  constexpr absl::string_view kPrefixes[] = {"LD_", "DYLD_", kOwnPrefix};
  constexpr absl::string_view kNames[] = {
      "PATH",           "IFS",           "BASH_ENV",          "ENV",           "NODE_OPTIONS",
      "PYTHONPATH",     "PYTHONSTARTUP", "PYTHONHOME",        "PERL5LIB",      "PERL5OPT",
      "RUBYOPT",        "RUBYLIB",       "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "GCONV_PATH",
      "GIT_SSH_COMMAND"};
  return std::any_of(std::begin(kPrefixes), std::end(kPrefixes),
                     [&](absl::string_view prefix) { return absl::StartsWith(name, prefix); }) ||
         std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames);
}

absl::Status CheckText(absl::string_view text, size_t max_bytes, absl::string_view field) {
  if (text.size() > max_bytes) {
    return InvalidField(field, absl::StrCat("longer than ", max_bytes, " bytes"), "Shorten it.");
  }
  while (!text.empty()) {
    const size_t length = Utf8SequenceLength(text);
    if (length == 0) return InvalidField(field, "not UTF-8", "Send UTF-8 text.");
    if (IsControl(text.substr(0, length))) {
      return InvalidField(field, "has control characters", "Remove control characters; newline and tab are allowed.");
    }
    text.remove_prefix(length);
  }
  return absl::OkStatus();
}

absl::Status CheckValue(absl::string_view value, absl::string_view field) {
  if (value.empty()) return InvalidField(field, "empty", "Send a value of 1 byte to 64 KiB.");
  if (value.size() > kMaxValueBytes) return InvalidField(field, "longer than 64 KiB", "Send at most 65536 bytes.");
  if (absl::StrContains(value, '\0')) {
    return InvalidField(field, "has a NUL byte", "Environment variables cannot hold NUL; encode the value.");
  }
  return absl::OkStatus();
}

}  // namespace keyferry::server
