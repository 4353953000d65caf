#include "server/config/config.h"

#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <set>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "server/config/identity_config.h"
#include "server/http/address_guard.h"
#include "server/http/ip_address.h"
#include "server/http/url.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

struct KeyHelp {
  const char* path;
  const char* help;
};

constexpr KeyHelp kHelp[] = {
    {"listen", "Address and port to listen on, e.g. 0.0.0.0:7443 (default 127.0.0.1:7443; port 0: any free)"},
    {"data_dir", "Directory of the encrypted store; made with mode 0700 by `keyferryd init`"},
    {"tls.cert_file", "PEM file of the server's certificate and its chain; read again when it changes"},
    {"tls.key_file", "PEM file of the certificate's private key; read again when it changes"},
    {"tls.client_ca_file", "PEM file of the CAs whose client certificates are required, in addition to tokens"},
    {"key_provider.file", "File of the key-encryption key (KEK), mode 0600; made by `keyferryd init`"},
    {"key_provider.passphrase_file", "File of a passphrase that the KEK is derived from, at least 12 bytes"},
    {"previous_key_provider.file", "File of the KEK before; a store that still needs it is rewrapped at start"},
    {"previous_key_provider.passphrase_file",
     "File of the passphrase before; a store that still needs it is rewrapped"},
    {"log.level", "debug (also every read), info, warning or error (default info)"},
    {"limits.memory_budget_mib", "Memory of the store's caches, in MiB (default 192)"},
    {"limits.change_threads", "Changes that are committed at the same time (default 64)"},
    {"limits.max_queued_changes", "Changes that may wait; more are refused (default 1024)"},
    {"limits.max_streams_per_connection", "Calls at the same time on one connection (default 1000)"},
    {"limits.drain_seconds", "How long running calls may take to end at a stop (default 10)"},
    {"limits.change_threads_per_org",
     "Changes of one organization that are committed at the same time (default three quarters of change_threads)"},
    {"limits.max_queued_changes_per_org",
     "Changes of one organization that may wait (default half of max_queued_changes)"},
    {"limits.calls_per_second_per_identity",
     "Calls of one user, service or workload, in the long run (default 2000; 0: no limit); reloaded by SIGHUP"},
    {"limits.call_burst_per_identity", "Calls of one identity at once, after a rest (default twice the rate)"},
    {"limits.calls_per_second_per_org",
     "Calls of all identities of one organization together (default 20000; 0: no limit); reloaded by SIGHUP"},
    {"limits.call_burst_per_org", "Calls of one organization at once, after a rest (default twice the rate)"},
    {"limits.failed_calls_per_second_per_address",
     "Calls with a refused token from one IPv4 address or IPv6 /64 (default 20; 0: no limit); reloaded by SIGHUP"},
    {"limits.failed_call_burst_per_address", "Such calls at once, after a rest (default 10 times the rate)"},
    {"audit.stream",
     "Write each audit entry as a JSON line to this file, mode 0600 (SIGHUP opens it again), or to stdout; off "
     "(default): nowhere"},
    {"audit.retention_days", "Days that audit entries are kept (default 400; 0: for ever)"},
    {"http.listen",
     "IP address and port on which browsers are served over HTTPS, for connecting accounts with OAuth (default: none)"},
    {"http.public_url",
     "Origin under which browsers reach it, e.g. https://keyferry.example.com (default https:// and http.listen)"},
    {"http.tls.cert_file", "PEM file of the certificate for browsers and its chain (default tls.cert_file)"},
    {"http.tls.key_file", "PEM file of that certificate's private key (default tls.key_file)"},
    {"outbound.ca_file", "PEM file of CAs that OAuth providers' certificates may come from, besides the system's"},
    {"outbound.allowed_addresses",
     "Addresses that are not public and may be connected to all the same: ADDRESS[/BITS][:PORT], separated by commas, "
     "e.g. 10.1.2.0/24:443,[fd00::/8]:443 (default: none)"},
};

void AddKeys(const Descriptor& descriptor, const std::string& prefix, std::vector<ConfigKey>* keys) {
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor& field = *descriptor.field(i);
    const std::string path = prefix + field.name();
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      // Lists of maps are no flags.
      if (field.is_repeated()) continue;
      AddKeys(*field.message_type(), path + ".", keys);
      continue;
    }
    ConfigKey key;
    key.path = path;
    key.flag = absl::StrCat("--", absl::StrReplaceAll(path, {{".", "-"}, {"_", "-"}}));
    key.environment = absl::StrCat("KEYFERRYD_", absl::AsciiStrToUpper(absl::StrReplaceAll(path, {{".", "_"}})));
    for (const KeyHelp& help : kHelp) {
      if (path == help.path) key.help = help.help;
    }
    keys->push_back(std::move(key));
  }
}

absl::Status At(const std::string& source, const YAML::Mark& mark, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(source, ":", mark.line + 1, ": ", problem));
}

absl::Status SetScalar(const FieldDescriptor& field, const std::string& text, Message* message) {
  const google::protobuf::Reflection& reflection = *message->GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      reflection.SetString(message, &field, text);
      return absl::OkStatus();
    case FieldDescriptor::CPPTYPE_UINT32: {
      uint32_t number = 0;
      if (!absl::SimpleAtoi(text, &number)) break;
      reflection.SetUInt32(message, &field, number);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_UINT64: {
      uint64_t number = 0;
      if (!absl::SimpleAtoi(text, &number)) break;
      reflection.SetUInt64(message, &field, number);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_BOOL:
      if (text != "true" && text != "false") return absl::InvalidArgumentError("must be true or false");
      reflection.SetBool(message, &field, text == "true");
      return absl::OkStatus();
    default:
      break;
  }
  return absl::InvalidArgumentError("must be a whole number of 0 or more");
}

// Sets what a list holds; what it held before is gone.
void SetList(const FieldDescriptor& field, absl::string_view text, Message* message) {
  message->GetReflection()->ClearField(message, &field);
  for (const absl::string_view item : absl::StrSplit(text, ',')) {
    const absl::string_view stripped = absl::StripAsciiWhitespace(item);
    if (!stripped.empty()) message->GetReflection()->AddString(message, &field, std::string(stripped));
  }
}

absl::Status ReadList(const YAML::Node& node, const std::string& source, const std::string& path,
                      const FieldDescriptor& field, Message* message) {
  if (node.IsScalar() || node.IsNull()) {
    SetList(field, node.IsNull() ? "" : node.Scalar(), message);
    return absl::OkStatus();
  }
  if (!node.IsSequence()) return At(source, node.Mark(), absl::StrCat("`", path, "` must be a list"));
  message->GetReflection()->ClearField(message, &field);
  for (const auto& item : node) {
    if (!item.IsScalar()) return At(source, item.Mark(), absl::StrCat("`", path, "` must be a list of single values"));
    message->GetReflection()->AddString(message, &field, item.Scalar());
  }
  return absl::OkStatus();
}

absl::Status ReadMap(const YAML::Node& node, const std::string& source, const std::string& prefix, Message* message);

// A list of maps, e.g. `identity.issuers`; what it held before is gone.
absl::Status ReadMaps(const YAML::Node& node, const std::string& source, const std::string& path,
                      const FieldDescriptor& field, Message* message) {
  message->GetReflection()->ClearField(message, &field);
  if (node.IsNull()) return absl::OkStatus();
  if (!node.IsSequence()) return At(source, node.Mark(), absl::StrCat("`", path, "` must be a list"));
  for (size_t i = 0; i < node.size(); ++i) {
    RETURN_IF_ERROR(ReadMap(node[i], source, absl::StrCat(path, "[", i, "]."),
                            message->GetReflection()->AddMessage(message, &field)));
  }
  return absl::OkStatus();
}

absl::Status ReadMap(const YAML::Node& node, const std::string& source, const std::string& prefix, Message* message) {
  if (node.IsNull()) return absl::OkStatus();
  if (!node.IsMap()) return At(source, node.Mark(), "expected keys and values");
  std::set<std::string> seen;
  for (const auto& entry : node) {
    if (!entry.first.IsScalar()) return At(source, entry.first.Mark(), "expected a key");
    const std::string name = entry.first.Scalar();
    const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(name);
    if (field == nullptr) return At(source, entry.first.Mark(), absl::StrCat("unknown key `", prefix, name, "`"));
    if (!seen.insert(name).second) {
      return At(source, entry.first.Mark(), absl::StrCat("key `", prefix, name, "` is given twice"));
    }
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && field->is_repeated()) {
      RETURN_IF_ERROR(ReadMaps(entry.second, source, absl::StrCat(prefix, name), *field, message));
      continue;
    }
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      RETURN_IF_ERROR(ReadMap(entry.second, source, absl::StrCat(prefix, name, "."),
                              message->GetReflection()->MutableMessage(message, field)));
      continue;
    }
    if (field->is_repeated()) {
      RETURN_IF_ERROR(ReadList(entry.second, source, absl::StrCat(prefix, name), *field, message));
      continue;
    }
    if (!entry.second.IsScalar()) {
      return At(source, entry.first.Mark(), absl::StrCat("`", prefix, name, "` must be a single value"));
    }
    const absl::Status set = SetScalar(*field, entry.second.Scalar(), message);
    if (!set.ok()) return At(source, entry.second.Mark(), absl::StrCat("`", prefix, name, "` ", set.message()));
  }
  return absl::OkStatus();
}

absl::Status Missing(absl::string_view path) {
  for (const ConfigKey& key : ConfigKeys()) {
    if (key.path == path) {
      return absl::InvalidArgumentError(
          absl::StrCat("`", path, "` is not set; set it in the configuration file or with ", key.flag));
    }
  }
  return absl::InternalError("no such key");
}

absl::Status CheckKeyProvider(const config::KeyProvider& provider, absl::string_view name) {
  if (!provider.file().empty() && !provider.passphrase_file().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("`", name, ".file` and `", name, ".passphrase_file` are both set; keep one"));
  }
  return absl::OkStatus();
}

absl::Status CompleteRates(config::Limits* limits) {
  if (!limits->has_calls_per_second_per_identity()) limits->set_calls_per_second_per_identity(2000);
  if (!limits->has_calls_per_second_per_org()) limits->set_calls_per_second_per_org(20000);
  if (!limits->has_failed_calls_per_second_per_address()) limits->set_failed_calls_per_second_per_address(20);
  constexpr uint32_t kMaxRate = 1000000;
  for (const auto& [name, rate] :
       {std::pair("calls_per_second_per_identity", limits->calls_per_second_per_identity()),
        std::pair("call_burst_per_identity", limits->call_burst_per_identity()),
        std::pair("calls_per_second_per_org", limits->calls_per_second_per_org()),
        std::pair("call_burst_per_org", limits->call_burst_per_org()),
        std::pair("failed_calls_per_second_per_address", limits->failed_calls_per_second_per_address()),
        std::pair("failed_call_burst_per_address", limits->failed_call_burst_per_address())}) {
    if (rate > kMaxRate) {
      return absl::InvalidArgumentError(
          absl::StrCat("`limits.", name, "` is more than ", kMaxRate, "; lower it, or take a rate of 0 for no limit"));
    }
  }
  if (limits->call_burst_per_identity() == 0) {
    limits->set_call_burst_per_identity(2 * limits->calls_per_second_per_identity());
  }
  if (limits->call_burst_per_org() == 0) limits->set_call_burst_per_org(2 * limits->calls_per_second_per_org());
  if (limits->failed_call_burst_per_address() == 0) {
    limits->set_failed_call_burst_per_address(10 * limits->failed_calls_per_second_per_address());
  }
  return absl::OkStatus();
}

// Where browsers are served and under which name.
absl::Status CompleteHttp(const config::Tls& tls, config::Http* http) {
  if (http->tls().cert_file().empty() != http->tls().key_file().empty()) {
    return absl::InvalidArgumentError(
        "of `http.tls.cert_file` and `http.tls.key_file` one is set and the other is not; set both or none");
  }
  if (http->tls().cert_file().empty() && !http->listen().empty()) {
    http->mutable_tls()->set_cert_file(tls.cert_file());
    http->mutable_tls()->set_key_file(tls.key_file());
  }
  if (!http->public_url().empty()) {
    const absl::StatusOr<HttpsUrl> origin = ParseHttpsOrigin(http->public_url());
    if (!origin.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("`http.public_url`: ", origin.status().message(), "; it is e.g. https://keyferry.example.com"));
    }
    http->set_public_url(absl::StrCat("https://", origin->Authority()));
  }
  if (http->listen().empty()) return absl::OkStatus();
  const absl::StatusOr<SocketAddress> listen = ParseListenAddress(http->listen());
  if (!listen.ok()) return absl::InvalidArgumentError(absl::StrCat("`http.listen` ", listen.status().message()));
  // With port 0 only the listener knows it.
  if (!http->public_url().empty() || listen->port == 0) return absl::OkStatus();
  if (listen->address.IsUnspecified()) {
    return absl::InvalidArgumentError(
        "`http.public_url` is not set, and `http.listen` is no address that browsers can reach; set it in the "
        "configuration file or with --http-public-url");
  }
  ASSIGN_OR_RETURN(const HttpsUrl origin, ParseHttpsOrigin(absl::StrCat("https://", http->listen())));
  http->set_public_url(absl::StrCat("https://", origin.Authority()));
  return absl::OkStatus();
}

absl::Status CheckOutbound(const config::Outbound& outbound) {
  const absl::StatusOr<AddressGuard> guard =
      AddressGuard::Create({outbound.allowed_addresses().begin(), outbound.allowed_addresses().end()});
  if (guard.ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("`outbound.allowed_addresses`: ", guard.status().message()));
}

}  // namespace

const std::vector<ConfigKey>& ConfigKeys() {
  static const auto* const kKeys = [] {
    auto* keys = new std::vector<ConfigKey>;
    AddKeys(*config::Config::descriptor(), "", keys);
    return keys;
  }();
  return *kKeys;
}

absl::Status ReadConfigYaml(const std::string& yaml, const std::string& source, config::Config* config) {
  try {
    // YAML::LoadAll would not return from a text such as a lone comma (yaml-cpp 0.7).
    if (yaml.rfind("\n---") != std::string::npos) {
      return absl::InvalidArgumentError(absl::StrCat(source, ": more than one YAML document; leave out `---`"));
    }
    const YAML::Node document = YAML::Load(yaml);
    config::Config read = *config;
    RETURN_IF_ERROR(ReadMap(document, source, "", &read));
    config->Swap(&read);
    return absl::OkStatus();
  } catch (const YAML::Exception& e) {
    return At(source, e.mark, absl::StrCat("not YAML: ", e.msg));
  }
}

absl::Status ReadConfigFile(const std::string& path, config::Config* config) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  if (file) text << file.rdbuf();
  if (!file) {
    const int error = errno;
    const std::string message = absl::StrCat(path, ": the configuration cannot be read: ", std::strerror(error));
    return error == EACCES ? absl::PermissionDeniedError(message) : absl::NotFoundError(message);
  }
  return ReadConfigYaml(text.str(), path, config);
}

absl::Status SetConfigKey(absl::string_view path, const std::string& text, const std::string& source,
                          config::Config* config) {
  Message* message = config;
  const std::vector<std::string> names = absl::StrSplit(path, '.');
  for (size_t i = 0; i + 1 < names.size(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(names[i]);
    message = message->GetReflection()->MutableMessage(message, field);
  }
  const FieldDescriptor* field = message->GetDescriptor()->FindFieldByName(names.back());
  if (field->is_repeated()) {
    SetList(*field, text, message);
    return absl::OkStatus();
  }
  const absl::Status set = SetScalar(*field, text, message);
  if (!set.ok()) return absl::InvalidArgumentError(absl::StrCat(source, ": ", set.message()));
  return absl::OkStatus();
}

absl::Status CompleteConfig(config::Config* config) {
  if (config->listen().empty()) config->set_listen("127.0.0.1:7443");
  if (config->data_dir().empty()) return Missing("data_dir");
  RETURN_IF_ERROR(CheckKeyProvider(config->key_provider(), "key_provider"));
  RETURN_IF_ERROR(CheckKeyProvider(config->previous_key_provider(), "previous_key_provider"));
  if (config->key_provider().file().empty() && config->key_provider().passphrase_file().empty()) {
    return Missing("key_provider.file");
  }
  if (config->log().level().empty()) config->mutable_log()->set_level("info");
  config::Limits& limits = *config->mutable_limits();
  if (limits.memory_budget_mib() == 0) limits.set_memory_budget_mib(192);
  if (limits.change_threads() == 0) limits.set_change_threads(64);
  if (limits.max_queued_changes() == 0) limits.set_max_queued_changes(1024);
  if (limits.max_streams_per_connection() == 0) limits.set_max_streams_per_connection(1000);
  if (limits.drain_seconds() == 0) limits.set_drain_seconds(10);
  config::Audit& audit = *config->mutable_audit();
  if (audit.stream().empty()) audit.set_stream("off");
  if (!audit.has_retention_days()) audit.set_retention_days(400);
  if (limits.change_threads() > 1024) {
    return absl::InvalidArgumentError("`limits.change_threads` is more than 1024; lower it");
  }
  RETURN_IF_ERROR(CompleteHttp(config->tls(), config->mutable_http()));
  RETURN_IF_ERROR(CheckOutbound(config->outbound()));
  RETURN_IF_ERROR(CompleteIdentity(config->mutable_identity()));
  return CompleteRates(&limits);
}

}  // namespace keyferry::server
