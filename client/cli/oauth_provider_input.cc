#include "client/cli/oauth_provider_input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/catalogue/catalogue.h"
#include "client/cli/connection_scope.h"
#include "client/cli/value_input.h"
#include "client/oauth_provider_file.h"
#include "client/secret_text.h"

namespace keyferry::client::cli {
namespace {

constexpr size_t kMaxFile = 256 * 1024;
constexpr size_t kMaxClientSecret = 4096;
constexpr size_t kMaxPrivateKey = 32 * 1024;

std::string CatalogueNames() {
  return absl::StrJoin(Catalogue(), ", ",
                       [](std::string* out, const CatalogueEntry& entry) { absl::StrAppend(out, entry.name); });
}

Outcome ReadFileText(const Context& context, const std::string& file, const std::string& where, SecretText* text) {
  const bool standard_input = file == "-";
  const int fd = standard_input ? context.streams().input : open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return BadData(absl::StrCat("cannot open (", strerror(errno), "): ", file, "; check the file's name"));
  Outcome outcome = ReadAll(fd, kMaxFile, where, text);
  if (!standard_input) close(fd);
  KEYFERRY_RETURN_IF_FAILED(std::move(outcome));
  if (text->size() > kMaxFile) return BadData(absl::StrCat("longer than 256 KiB: ", where, "; check the file's name"));
  return std::nullopt;
}

enum class SecretUse { kNone, kOptional, kRequired };

// Whether the client authenticates with a secret of its own.
SecretUse UseOf(const v1::OauthClient& client) {
  if (client.register_dynamically()) return SecretUse::kNone;
  switch (client.authentication()) {
    case v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC:
    case v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC_RAW:
    case v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST:
    case v1::OAUTH_CLIENT_AUTHENTICATION_SECRET_AS_BASIC_USER:
      return SecretUse::kRequired;
    case v1::OAUTH_CLIENT_AUTHENTICATION_UNSPECIFIED:
      return SecretUse::kOptional;
    default:
      return SecretUse::kNone;
  }
}

Outcome Take(const Context& context, const std::string& file, const SecretQuestion& question, std::string* field) {
  SecretText secret;
  KEYFERRY_RETURN_IF_FAILED(ReadSecret(context.streams(), file, question, &secret));
  field->assign(secret.Expose().data(), secret.size());
  return std::nullopt;
}

}  // namespace

std::vector<Option> OauthProviderOptions() {
  Option scope = {"--scope", ValueKind::kText, "SCOPE",
                  "Scope to ask for, instead of the definition's; may be repeated"};
  scope.repeated = true;
  Option from = {"--from", ValueKind::kText, "NAME", "Ready definition (`keyferry oauth-provider catalogue`)"};
  for (const CatalogueEntry& entry : Catalogue()) from.choices.emplace_back(entry.name);
  return {from,
          {"-f,--file", ValueKind::kFile, "FILE", "Definition in YAML (- is standard input); see docs/oauth.md"},
          {"--issuer", ValueKind::kText, "URL", "Issuer that the endpoints are discovered from"},
          {"--resource", ValueKind::kText, "URL", "Protected resource, e.g. an MCP server, whose issuer is discovered"},
          {"--display-name", ValueKind::kText, "TEXT", "Name that people are shown"},
          {"--client-id", ValueKind::kText, "ID", "Client id that the provider gave"},
          scope,
          VariableOption("Value of a variable in the definition's URLs, for everybody; may be repeated"),
          {"--client-secret-file", ValueKind::kFile, "FILE", "Read the client secret from FILE (- is standard input)"},
          {"--certificate-key-file", ValueKind::kFile, "FILE",
           "Read the PEM key of the definition's client certificate from FILE"}};
}

const std::vector<std::vector<std::string>>& OauthProviderOptionsExclude() {
  static const auto* const kSets =
      new std::vector<std::vector<std::string>>{{"--from", "--file", "--issuer", "--resource"}};
  return *kSets;
}

Outcome ReadDefinition(const Context& context, const Arguments& arguments, v1::OauthProvider* provider) {
  std::string where;
  SecretText text;
  absl::string_view yaml;
  if (arguments.Has("--from")) {
    const CatalogueEntry* entry = FindInCatalogue(arguments.Text("--from"));
    if (entry == nullptr) {
      return BadData(absl::StrCat("not in the catalogue: ", arguments.Text("--from"), "; it has ", CatalogueNames()));
    }
    where = absl::StrCat("catalogue/", entry->name, ".yaml");
    yaml = entry->yaml;
  } else if (arguments.Has("--file")) {
    const std::string& file = arguments.Text("--file");
    where = file == "-" ? "standard input" : file;
    KEYFERRY_RETURN_IF_FAILED(ReadFileText(context, file, where, &text));
    yaml = text.Expose();
  } else {
    return std::nullopt;
  }
  absl::StatusOr<v1::OauthProvider> read = ParseOauthProviderFile(yaml, where);
  if (!read.ok()) return BadData(absl::StrCat(read.status().message(), "; nothing was changed"));
  *provider = *std::move(read);
  return std::nullopt;
}

Outcome ApplyOptions(const Arguments& arguments, v1::OauthProvider* provider) {
  if (arguments.Has("--display-name")) provider->set_display_name(arguments.Text("--display-name"));
  if (arguments.Has("--client-id")) provider->mutable_client()->set_client_id(arguments.Text("--client-id"));
  if (arguments.Has("--issuer")) provider->mutable_endpoints()->set_issuer(arguments.Text("--issuer"));
  if (arguments.Has("--resource")) provider->mutable_endpoints()->set_resource(arguments.Text("--resource"));
  if (arguments.Has("--scope")) {
    provider->mutable_authorization()->clear_scopes();
    for (const std::string& scope : arguments.Texts("--scope")) provider->mutable_authorization()->add_scopes(scope);
  }
  std::map<std::string, std::string> values;
  KEYFERRY_RETURN_IF_FAILED(ReadVariables(arguments, &values));
  for (v1::OauthUrlVariable& variable : *provider->mutable_url_variables()) {
    const auto found = values.find(variable.name());
    if (found == values.end()) continue;
    variable.set_value(found->second);
    values.erase(found);
  }
  if (values.empty()) return std::nullopt;
  const std::string known =
      absl::StrJoin(provider->url_variables(), ", ",
                    [](std::string* out, const v1::OauthUrlVariable& variable) { out->append(variable.name()); });
  return BadData(absl::StrCat("the definition's URLs have no such variable: ", values.begin()->first, "; ",
                              known.empty() ? "they have none" : absl::StrCat("they have ", known)));
}

Outcome ReadSecrets(const Context& context, const Arguments& arguments, bool ask_for_client_secret,
                    v1::OauthProvider* provider) {
  if (arguments.Has("--certificate-key-file")) {
    KEYFERRY_RETURN_IF_FAILED(Take(context, arguments.Text("--certificate-key-file"),
                                   {"private key", kMaxPrivateKey, /*optional=*/false},
                                   provider->mutable_client()->mutable_certificate_private_key()));
  }
  if (arguments.Has("--registration-token-file")) {
    KEYFERRY_RETURN_IF_FAILED(Take(context, arguments.Text("--registration-token-file"),
                                   {"registration token", kMaxClientSecret, /*optional=*/false},
                                   provider->mutable_client()->mutable_registration_token()));
  }
  const std::string& file = arguments.Text("--client-secret-file");
  SecretQuestion question = {"client secret", kMaxClientSecret, /*optional=*/false};
  if (!arguments.Has("--client-secret-file")) {
    const SecretUse use = ask_for_client_secret ? UseOf(provider->client()) : SecretUse::kNone;
    question.optional = use == SecretUse::kOptional;
    const bool taken = arguments.Text("--file") == "-";
    if (use == SecretUse::kNone || (taken && question.optional)) return std::nullopt;
    if (taken) {
      return UsageFailure(
          "standard input is the definition already, and the client needs a secret: --file -; name a file of its own "
          "with --client-secret-file");
    }
  }
  std::string secret;
  Outcome outcome = Take(context, file, question, &secret);
  if (!secret.empty()) provider->mutable_client()->set_client_secret(secret);
  WipeString(secret);
  return outcome;
}

bool UsesClientSecret(const v1::OauthClient& client) { return UseOf(client) != SecretUse::kNone; }

void WipeSecrets(v1::OauthProvider* provider) {
  if (!provider->has_client()) return;
  WipeString(*provider->mutable_client()->mutable_client_secret());
  WipeString(*provider->mutable_client()->mutable_certificate_private_key());
  WipeString(*provider->mutable_client()->mutable_registration_token());
}

std::vector<std::string> DefinitionPaths(const v1::OauthProvider& provider) {
  std::vector<std::string> paths;
  const google::protobuf::Descriptor& type = *v1::OauthProvider::descriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *type.field(i);
    if (RoleOf(field) != OauthProviderFieldRole::kFile || field.name() == "client") continue;
    paths.push_back(field.name());
  }
  const v1::OauthClient& client = provider.client();
  for (const char* always : {"authentication", "signing_algorithm", "assertion_audience"}) {
    paths.push_back(absl::StrCat("client.", always));
  }
  if (!client.client_id().empty()) paths.push_back("client.client_id");
  if (!client.certificate().empty()) paths.push_back("client.certificate");
  return paths;
}

void KeepChoices(const v1::OauthProvider& stored, bool scopes, v1::OauthProvider* provider) {
  for (v1::OauthUrlVariable& variable : *provider->mutable_url_variables()) {
    for (const v1::OauthUrlVariable& before : stored.url_variables()) {
      const bool chosen = before.name() == variable.name() && !before.value().empty();
      // A file says what it says; a ready definition has only a default.
      if (chosen && (scopes || variable.value().empty())) variable.set_value(before.value());
    }
  }
  if (scopes && !stored.authorization().scopes().empty()) {
    *provider->mutable_authorization()->mutable_scopes() = stored.authorization().scopes();
  }
}

}  // namespace keyferry::client::cli
