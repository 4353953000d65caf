#include "tests/integration/bad_requests.h"

#include <stdlib.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"

namespace keyferry::testing {
namespace {

// In front of each label of the others.
std::string Label(const std::string& path, const std::string& what) { return absl::StrCat(path, ": ", what); }

}  // namespace

std::string Set(const std::string& path, absl::string_view bytes) {
  const std::vector<std::string> segments = absl::StrSplit(path, '.');
  std::string text;
  for (size_t i = 0; i + 1 < segments.size(); ++i) absl::StrAppend(&text, segments[i], " { ");
  absl::StrAppend(&text, segments.back(), ": \"", absl::CHexEscape(bytes), "\"");
  for (size_t i = 0; i + 1 < segments.size(); ++i) absl::StrAppend(&text, " }");
  return text;
}

BadRequest Invalid(const std::string& label, const std::string& edit, const std::string& field, Who who) {
  return {label, who, edit, grpc::INVALID_ARGUMENT, field};
}

BadRequest Fails(const std::string& label, const std::string& edit, grpc::StatusCode code, Who who) {
  return {label, who, edit, code, ""};
}

BadRequests BadNames(const std::string& path, const std::string& good, const std::vector<std::string>& others,
                     Who who) {
  const auto with_org = [&](const std::string& org) {
    return absl::StrReplaceAll(good, {{"orgs/acme", "orgs/" + org}});
  };
  const std::vector<std::pair<std::string, std::string>> names = {
      {"empty", ""},
      {"one word", "acme"},
      {"no id", "orgs"},
      {"empty id", "orgs/"},
      {"empty org", with_org("")},
      {"leading slash", "/" + good},
      {"trailing slash", good + "/"},
      {"doubled slashes", absl::StrReplaceAll(good, {{"/", "//"}})},
      {"empty segment in the middle", "orgs//" + good},
      {"only slashes", "////"},
      {"dot dot", with_org("..")},
      {"dot dot before", "../" + good},
      {"dot", with_org(".")},
      {"upper case org", with_org("ACME")},
      {"upper case collection", absl::StrReplaceAll(good, {{"orgs", "ORGS"}})},
      {"another collection", absl::StrReplaceAll(good, {{"orgs", "organizations"}})},
      {"below it", good + "/versions/1"},
      {"wildcard", with_org("*")},
      {"dash wildcard", with_org("-")},
      {"percent", with_org("%2e%2e")},
      {"space before", " " + good},
      {"space after", good + " "},
      {"newline after", good + "\n"},
      {"query", good + "?x=1"},
      {"control character", with_org("ac\x01me")},
      {"DEL", with_org("acme\x7f")},
      {"NUL", with_org(std::string("ac\0me", 5))},
      {"NUL after", good + std::string(1, '\0')},
      {"not ASCII", with_org("acm\xc3\xa9")},
      {"id of 64 bytes", with_org(std::string(64, 'a'))},
      {"513 bytes", good + std::string(513 - good.size(), 'a')},
      {"513 bytes of slashes", std::string(513, '/')},
      {"100,000 bytes", good + std::string(100000, 'a')},
      {"backslash", absl::StrReplaceAll(good, {{"/", "\\"}})},
      {"URL", "https://keyferry/" + good},
  };
  BadRequests bad;
  for (const auto& [label, name] : names) bad.push_back(Invalid(Label(path, label), Set(path, name), path, who));
  for (const std::string& name : others) bad.push_back(Invalid(Label(path, name), Set(path, name), path, who));
  return bad;
}

BadRequests BadIds(const std::string& path) {
  const std::vector<std::pair<std::string, std::string>> ids = {
      {"empty", ""},
      {"upper case", "Mia"},
      {"dash first", "-a"},
      {"dash last", "a-"},
      {"dot", "."},
      {"dot dot", ".."},
      {"slash", "a/b"},
      {"path", "../root"},
      {"space", "a b"},
      {"newline", "a\n"},
      {"NUL", std::string("a\0b", 3)},
      {"control character", "a\x1b[31mb"},
      {"not ASCII", "\xc3\xa9"},
      {"64 bytes", std::string(64, 'a')},
      {"100,000 bytes", std::string(100000, 'a')},
      {"a whole name", "orgs/acme/users/mia"},
  };
  BadRequests bad;
  for (const auto& [label, id] : ids) bad.push_back(Invalid(Label(path, label), Set(path, id), path));
  return bad;
}

BadRequests BadVariables(const std::string& path, const std::string& field, Who who) {
  std::vector<std::pair<std::string, std::string>> names = {
      {"empty", ""},
      {"digit first", "1A"},
      {"dash", "A-B"},
      {"space", "A B"},
      {"equals sign", "A=B"},
      {"newline", "A\nB"},
      {"NUL", std::string("A\0B", 3)},
      {"slash", "A/B"},
      {"dot dot", ".."},
      {"not ASCII", "\xc3\x89"},
      {"129 bytes", std::string(129, 'A')},
      {"513 bytes", std::string(513, 'A')},
      {"100,000 bytes", std::string(100000, 'A')},
  };
  for (const char* hijacking : {"LD_PRELOAD",
                                "LD_",
                                "DYLD_INSERT_LIBRARIES",
                                "PATH",
                                "IFS",
                                "BASH_ENV",
                                "ENV",
                                "NODE_OPTIONS",
                                "PYTHONPATH",
                                "PYTHONSTARTUP",
                                "PYTHONHOME",
                                "PERL5LIB",
                                "PERL5OPT",
                                "RUBYOPT",
                                "RUBYLIB",
                                "JAVA_TOOL_OPTIONS",
                                "_JAVA_OPTIONS",
                                "GCONV_PATH",
                                "GIT_SSH_COMMAND",
                                "KEYFERRY_TOKEN"}) {
    names.emplace_back(hijacking, hijacking);
  }
  BadRequests bad;
  for (const auto& [label, name] : names) bad.push_back(Invalid(Label(path, label), Set(path, name), field, who));
  return bad;
}

BadRequests BadTexts(const std::string& path, size_t max_bytes) {
  return {
      Invalid(Label(path, "one byte too long"), Set(path, std::string(max_bytes + 1, 'x')), path),
      Invalid(Label(path, "200,000 bytes"), Set(path, std::string(200000, 'x')), path),
      Invalid(Label(path, "too long in bytes, not in characters"),
              Set(path, absl::StrReplaceAll(std::string(max_bytes / 2 + 1, 'x'), {{"x", "\xc3\xa9"}})), path),
      Invalid(Label(path, "NUL"), Set(path, std::string("a\0b", 3)), path),
      Invalid(Label(path, "escape sequence"), Set(path, "\x1b[2J"), path),
      Invalid(Label(path, "carriage return"), Set(path, "a\rb"), path),
      Invalid(Label(path, "DEL"), Set(path, "a\x7f"), path),
      Invalid(Label(path, "C1 control character"), Set(path, "a\xc2\x85"), path),
  };
}

BadRequests BadValues(const std::string& path, const std::string& field) {
  const std::string marked(World::kMarker);
  return {
      Invalid(Label(path, "NUL inside"), Set(path, marked + std::string(1, '\0') + marked), field),
      Invalid(Label(path, "only NUL"), Set(path, std::string(1, '\0')), field),
      Invalid(Label(path, "64 KiB and 1 byte"), Set(path, marked + std::string((64 << 10) + 1 - marked.size(), 'x')),
              field),
      Invalid(Label(path, "200,000 bytes"), Set(path, marked + std::string(200000, 'x')), field),
  };
}

BadRequests BadPages() {
  const auto token = [](const std::string& label, absl::string_view text) {
    return Invalid(Label("page_token", label), Set("page_token", text), "page_token");
  };
  return {
      Invalid("page_size: -1", "page_size: -1", "page_size"),
      Invalid("page_size: the least integer", "page_size: -2147483648", "page_size"),
      token("one character", "x"),
      token("not base64", "!!!!"),
      token("a name", "orgs/acme"),
      token("well-formed", std::string(64, 'A')),
      token("changed", "$CHANGED_PAGE_TOKEN"),
      token("truncated", "$PAGE_TOKEN="),
      token("NUL", std::string("a\0b", 3)),
      token("100,000 bytes", std::string(100000, 'A')),
  };
}

BadRequests BadMasks() {
  BadRequests bad;
  for (const char* path : {"no_such_field", "name", "create_time", "*", "etag", "role.x", "Description", "", "..",
                           "description,rotate_by"}) {
    bad.push_back(Invalid(absl::StrCat("update_mask: `", path, "`"),
                          absl::StrCat("update_mask { paths: '", path, "' }"), "update_mask"));
  }
  bad.push_back(Invalid("update_mask: 100,000 bytes",
                        absl::StrCat("update_mask { paths: '", std::string(100000, 'x'), "' }"), "update_mask"));
  return bad;
}

BadRequests Absent(const std::string& path, const std::vector<std::string>& names, Who who) {
  BadRequests bad;
  for (const std::string& name : names) {
    bad.push_back(Fails(absl::StrCat(path, ": absent: ", name), Set(path, name), grpc::NOT_FOUND, who));
  }
  return bad;
}

BadRequests Refused(const std::string& letters, const std::string& edit) {
  constexpr Who kOrder[] = {Who::kMember,    Who::kOwner,   Who::kTeamAdmin, Who::kTeamMember,
                            Who::kOtherTeam, Who::kService, Who::kWorkload,  Who::kRival};
  if (letters.size() != std::size(kOrder)) abort();
  BadRequests bad;
  for (size_t i = 0; i < letters.size(); ++i) {
    if (letters[i] == '.') continue;
    const grpc::StatusCode code = letters[i] == 'D' ? grpc::PERMISSION_DENIED : grpc::NOT_FOUND;
    bad.push_back(Fails(absl::StrCat("as ", NameOf(kOrder[i]), " ", edit), edit, code, kOrder[i]));
  }
  return bad;
}

BadRequests Join(std::vector<BadRequests> parts) {
  BadRequests all;
  for (BadRequests& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

std::vector<MethodEntry> AllEntries() {
  std::vector<MethodEntry> all;
  for (const auto& some :
       {CredentialEntries(), McpServerEntries(), ResolutionEntries(), ProcessEntries(), OauthEntries(), TokenEntries(),
        SessionEntries(), AuditEntries(), PeopleEntries(), PrincipalEntries(), OrgEntries()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

}  // namespace keyferry::testing
