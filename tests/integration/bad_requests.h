#ifndef KEYFERRY_TESTS_INTEGRATION_BAD_REQUESTS_H_
#define KEYFERRY_TESTS_INTEGRATION_BAD_REQUESTS_H_

#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "grpcpp/support/status.h"
#include "tests/integration/world.h"

namespace keyferry::testing {

// A request that must be refused: the method's good request with an edit after it.
struct BadRequest {
  std::string label;
  Who who;
  // Text format; what it sets replaces what the good request sets, and what is repeated is appended.
  std::string edit;
  grpc::StatusCode code;
  // The field that INVALID_ARGUMENT must name.
  std::string field;
};
using BadRequests = std::vector<BadRequest>;

// One method of the API.
struct MethodEntry {
  std::string method;
  Who who;
  // Succeeds if `who` sends it; see World for the words and world_contents.cc for what there is.
  std::string good;
  BadRequests bad;

  friend void PrintTo(const MethodEntry& entry, std::ostream* out) { *out << entry.method; }
};

// Whether values leave through it.
inline bool GivesValuesOut(const std::string& method) {
  return method == "ResolutionService.Resolve" || method == "ResolutionService.Watch";
}

// Every method, in an order in which each good request can follow those before it.
std::vector<MethodEntry> AllEntries();
std::vector<MethodEntry> CredentialEntries();
std::vector<MethodEntry> McpServerEntries();
std::vector<MethodEntry> ResolutionEntries();
// Of a watch, whose request holds one of Resolve, with what Resolve refuses.
MethodEntry WatchEntry(BadRequests of_resolve);
std::vector<MethodEntry> ProcessEntries();
std::vector<MethodEntry> TokenEntries();
std::vector<MethodEntry> SessionEntries();
std::vector<MethodEntry> OauthEntries();
std::vector<MethodEntry> PeopleEntries();
std::vector<MethodEntry> AuditEntries();
std::vector<MethodEntry> PrincipalEntries();
// DeleteOrg is the last of them.
std::vector<MethodEntry> OrgEntries();

// The pieces that entries are made of. All answer INVALID_ARGUMENT on `path` for kAdmin unless they say otherwise;
// `path` is a field path of the request, like "credential.name".

// Text format that sets the field to any bytes.
std::string Set(const std::string& path, absl::string_view bytes);
BadRequest Invalid(const std::string& label, const std::string& edit, const std::string& field, Who who = Who::kAdmin);
BadRequest Fails(const std::string& label, const std::string& edit, grpc::StatusCode code, Who who = Who::kAdmin);
// Malformed variations of a good resource name; `others` are well-formed names that are not of the right kind.
BadRequests BadNames(const std::string& path, const std::string& good, const std::vector<std::string>& others,
                     Who who = Who::kAdmin);
// Malformed ids of the directory.
BadRequests BadIds(const std::string& path);
// Malformed names of environment variables, and those that hijack a process. `path` must not be repeated.
BadRequests BadVariables(const std::string& path, const std::string& field, Who who = Who::kAdmin);
BadRequests BadTexts(const std::string& path, size_t max_bytes);
// NUL, too long. Empty is not among them.
BadRequests BadValues(const std::string& path, const std::string& field);
BadRequests BadPages();
BadRequests BadMasks();
// NOT_FOUND for each name.
BadRequests Absent(const std::string& path, const std::vector<std::string>& names, Who who = Who::kAdmin);
// Who is refused: one letter each for kMember, kOwner, kTeamAdmin, kTeamMember, kOtherTeam, kService, kWorkload and
// kRival: D is PERMISSION_DENIED, N is NOT_FOUND, '.' is not refused and left out.
BadRequests Refused(const std::string& letters, const std::string& edit = "");

BadRequests Join(std::vector<BadRequests> parts);

}  // namespace keyferry::testing

#endif  // KEYFERRY_TESTS_INTEGRATION_BAD_REQUESTS_H_
