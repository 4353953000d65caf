#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/descriptor.h"
#include "server/config/backup_config.h"
#include "server/config/config.h"

namespace keyferry::server {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

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
    {"metrics.listen",
     "IP address and port on which /metrics (Prometheus), /healthz and /readyz are served over HTTPS (default: none)"},
    {"metrics.tls.cert_file", "PEM file of the certificate for monitoring and its chain (default tls.cert_file)"},
    {"metrics.tls.key_file", "PEM file of that certificate's private key (default tls.key_file)"},
    {"metrics.token_file",
     "File of a token, at least 16 bytes, that /metrics asks for as `Authorization: Bearer`; read again when it "
     "changes "
     "(default: /metrics answers everyone)"},
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
    if (const char* help = BackupKeyHelp(path); help != nullptr) key.help = help;
    keys->push_back(std::move(key));
  }
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

}  // namespace keyferry::server
