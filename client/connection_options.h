#ifndef KEYFERRY_CLIENT_CONNECTION_OPTIONS_H_
#define KEYFERRY_CLIENT_CONNECTION_OPTIONS_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace keyferry::client {

// How to reach keyferryd and as whom. An empty string means "not given".
struct ConnectionOptions {
  // `host:port`.
  std::string address;
  // PEM certificates that the server's chain must end in; empty means the system's.
  std::string ca_file;
  // A file whose text is an API token.
  std::string token_file;
  // Id of the organization, the `{org}` of `orgs/{org}`.
  std::string org;
  // PEM chain and key of a client certificate; both or neither.
  std::string client_cert_file;
  std::string client_key_file;
  // Which profile of the profile file to use; empty means its `defaultProfile`.
  std::string profile;
  // Set by LoadConnectionOptions, for error messages: which profile was read, or why none was.
  std::string profile_searched;
};

// As std::getenv: null if the variable is not set. An empty variable counts as not set.
using Environment = std::function<const char*(const char* name)>;

// Settles each option separately, from the first of: `flags`; KEYFERRY_ADDRESS, KEYFERRY_CA_FILE, KEYFERRY_TOKEN_FILE,
// KEYFERRY_ORG, KEYFERRY_CLIENT_CERT_FILE, KEYFERRY_CLIENT_KEY_FILE, KEYFERRY_PROFILE; a profile of
// $XDG_CONFIG_HOME/keyferry/config.yaml (~/.config/keyferry/config.yaml):
//
//   defaultProfile: work
//   profiles:
//     work: {address: "keyferry.example.com:7443", caFile: ca.pem, tokenFile: work.token, org: acme}
//
// with the keys address, caFile, tokenFile, org, clientCertFile and clientKeyFile; relative file names start at the
// profile file's folder, `~/` at the home folder. The profile file is read only if a profile is named or one of
// address, CA, token and org is still missing; it must be a regular file of the caller (or root) that nobody else can
// write.
//
// Answers complete options but for `org`, which not every call needs (see RequireOrg), and `ca_file`. Fails with
// INVALID_ARGUMENT ("what: where looked for; what to do") on a missing address or identity (neither token nor client
// certificate), on half a client certificate, and on a profile file or profile that is wrong or, if named, absent.
absl::StatusOr<ConnectionOptions> LoadConnectionOptions(const ConnectionOptions& flags, const Environment& environment);

// INVALID_ARGUMENT, in the same form, if no organization was given.
absl::Status RequireOrg(const ConnectionOptions& options);

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_CONNECTION_OPTIONS_H_
