#include "client/mcp_server_file.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/yaml_documents.h"
#include "client/yaml_text.h"
#include "yaml-cpp/yaml.h"

namespace keyferry::client {
namespace {

class Parser {
 public:
  explicit Parser(absl::string_view file_name) : file_name_(file_name) {}

  absl::Status Document(const YAML::Node& node, McpServerDocument* document) {
    if (!node.IsMap()) return At(node, "an MCP server must be a map with the keys `id`, `transport`, ...");
    std::set<std::string> seen;
    for (const auto& entry : node) {
      std::string key;
      absl::Status status = Key(entry.first, seen, &key);
      if (status.ok()) status = Field(entry.first, key, entry.second, document);
      if (!status.ok()) return status;
    }
    for (const char* required : {"id", "transport"}) {
      if (seen.count(required) == 0) return At(node, absl::StrCat("`", required, "` is missing"));
    }
    return absl::OkStatus();
  }

  absl::Status At(const YAML::Node& node, absl::string_view problem) const {
    return At(PositionOf(node.Mark()), problem);
  }

  absl::Status At(TextPosition position, absl::string_view problem) const {
    return FileErrorAt(file_name_, position, problem);
  }

 private:
  absl::Status Key(const YAML::Node& node, std::set<std::string>& seen, std::string* key) const {
    if (!node.IsScalar()) return At(node, "a key must be a word");
    *key = node.Scalar();
    if (!seen.insert(*key).second) return At(node, absl::StrCat(ShownKey(*key), " is given twice"));
    return absl::OkStatus();
  }

  absl::Status Text(const YAML::Node& node, absl::string_view key, std::string* text) const {
    if (!node.IsScalar()) return At(node, absl::StrCat("`", key, "` must be a text"));
    const std::string& tag = node.Tag();
    if (!tag.empty() && tag != "?" && tag != "!" && tag != "tag:yaml.org,2002:str") {
      return At(node, absl::StrCat("`", key, "` must be a text without a tag"));
    }
    *text = node.Scalar();
    return absl::OkStatus();
  }

  absl::Status Boolean(const YAML::Node& node, absl::string_view key, bool* value) const {
    if (!node.IsScalar() || (node.Scalar() != "true" && node.Scalar() != "false")) {
      return At(node, absl::StrCat("`", key, "` must be true or false"));
    }
    *value = node.Scalar() == "true";
    return absl::OkStatus();
  }

  absl::Status NotEmpty(const YAML::Node& node, absl::string_view key, std::string* text) const {
    absl::Status status = Text(node, key, text);
    if (status.ok() && text->empty()) return At(node, absl::StrCat("`", key, "` must not be empty"));
    return status;
  }

  absl::Status Field(const YAML::Node& key_node, const std::string& key, const YAML::Node& node,
                     McpServerDocument* document) const {
    if (key == "id") return NotEmpty(node, key, &document->id);
    if (key == "team") return NotEmpty(node, key, &document->team);
    if (key == "command") return Text(node, key, document->server.mutable_command());
    if (key == "transport") return Transport(node, &document->server);
    if (key == "args") return Args(node, &document->server);
    if (key == "env") return Env(node, &document->server);
    return At(key_node,
              absl::StrCat("unknown key ", ShownKey(key), "; known are id, team, transport, command, args, env"));
  }

  absl::Status Transport(const YAML::Node& node, v1::McpServer* server) const {
    if (node.IsScalar() && node.Scalar() == "STDIO") {
      server->set_transport(v1::MCP_TRANSPORT_STDIO);
    } else if (node.IsScalar() && node.Scalar() == "HTTP") {
      server->set_transport(v1::MCP_TRANSPORT_HTTP);
    } else {
      return At(node, "`transport` must be STDIO or HTTP");
    }
    return absl::OkStatus();
  }

  absl::Status Args(const YAML::Node& node, v1::McpServer* server) const {
    if (!node.IsSequence()) return At(node, "`args` must be a list of texts");
    for (const YAML::Node& arg : node) {
      absl::Status status = Text(arg, "args", server->add_args());
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  absl::Status Env(const YAML::Node& node, v1::McpServer* server) const {
    if (!node.IsSequence()) return At(node, "`env` must be a list of bindings such as {name: N, orgSecret: N}");
    std::set<std::string> variables;
    for (const YAML::Node& item : node) {
      v1::EnvBinding* binding = server->add_env();
      absl::Status status = Binding(item, binding);
      if (!status.ok()) return status;
      if (!variables.insert(binding->variable()).second) {
        return At(item, absl::StrCat("the variable `", binding->variable(), "` is bound twice"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status Binding(const YAML::Node& node, v1::EnvBinding* binding) const {
    if (!node.IsMap()) return At(node, "a binding must be a map such as {name: N, orgSecret: N}");
    std::set<std::string> seen;
    for (const auto& entry : node) {
      std::string key;
      absl::Status status = Key(entry.first, seen, &key);
      if (status.ok()) status = BindingField(entry.first, key, entry.second, binding);
      if (!status.ok()) return status;
    }
    if (seen.count("name") == 0) return At(node, "the binding has no `name`");
    if (binding->source_case() == v1::EnvBinding::SOURCE_NOT_SET) {
      return At(node, "the binding has no source: give one of static, orgSecret, teamSecret, userSecret, oauth");
    }
    return absl::OkStatus();
  }

  absl::Status BindingField(const YAML::Node& key_node, const std::string& key, const YAML::Node& node,
                            v1::EnvBinding* binding) const {
    if (key == "name") return NotEmpty(node, key, binding->mutable_variable());
    if (key == "template") return NotEmpty(node, key, binding->mutable_template_());
    if (key == "required" || key == "overridable") {
      bool value = true;
      absl::Status status = Boolean(node, key, &value);
      if (key == "required") binding->set_optional(!value);
      if (key == "overridable") binding->set_not_overridable(!value);
      return status;
    }
    return Source(key_node, key, node, binding);
  }

  absl::Status Source(const YAML::Node& key_node, const std::string& key, const YAML::Node& node,
                      v1::EnvBinding* binding) const {
    static constexpr const char* kSources[] = {"static", "orgSecret", "teamSecret", "userSecret", "oauth"};
    if (std::find(std::begin(kSources), std::end(kSources), key) == std::end(kSources)) {
      return At(key_node, absl::StrCat("unknown key ", ShownKey(key),
                                       "; known are name, static, orgSecret, teamSecret, userSecret, oauth, "
                                       "template, required, overridable"));
    }
    if (binding->source_case() != v1::EnvBinding::SOURCE_NOT_SET) {
      return At(key_node, absl::StrCat("`", key, "` is a second source; a binding has exactly one"));
    }
    if (key == "static") return Text(node, key, binding->mutable_static_());
    std::string* text = key == "orgSecret"    ? binding->mutable_org_secret()
                        : key == "teamSecret" ? binding->mutable_team_secret()
                        : key == "userSecret" ? binding->mutable_user_secret()
                                              : binding->mutable_oauth();
    return NotEmpty(node, key, text);
  }

  const absl::string_view file_name_;
};

}  // namespace

absl::StatusOr<std::vector<McpServerDocument>> ParseMcpServerFile(absl::string_view text, absl::string_view file_name) {
  Parser parser(file_name);
  TextPosition bad;
  if (FindBadByte(text, &bad)) return parser.At(bad, "not UTF-8 text");
  try {
    std::vector<McpServerDocument> documents;
    std::set<std::pair<std::string, std::string>> ids;
    const std::string whole(text);
    // Each document takes a line at least.
    if (!HasAtMostDocuments(whole, 1 + std::count(text.begin(), text.end(), '\n'))) {
      return parser.At(TextPosition(), "not YAML: a document begins with a character that begins none");
    }
    for (const YAML::Node& node : YAML::LoadAll(whole)) {
      // Between `---` lines and at the end there may be nothing.
      if (!node.IsDefined() || node.IsNull()) continue;
      McpServerDocument& document = documents.emplace_back();
      absl::Status status = parser.Document(node, &document);
      if (!status.ok()) return status;
      if (!ids.emplace(document.team, document.id).second) {
        return parser.At(node, absl::StrCat("the MCP server `", document.id, "` is given twice"));
      }
    }
    if (documents.empty()) return parser.At(TextPosition(), "no MCP server in this file");
    return documents;
  } catch (const YAML::Exception& error) {
    return NotYaml(file_name, error);
  }
}

}  // namespace keyferry::client
