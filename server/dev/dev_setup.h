#ifndef KEYFERRY_SERVER_DEV_DEV_SETUP_H_
#define KEYFERRY_SERVER_DEV_DEV_SETUP_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/directory/common.h"
#include "storage/open.h"

namespace keyferry::server {

// What `keyferryd --dev --data-dir DIR` keeps in DIR, all directories of mode 0700 and all files of mode 0600:
//
//   store/                               the encrypted store
//   dev/kek                              its key-encryption key
//   dev/{ca,server}.{pem,key}            CA and server certificate as in certificates.h
//   dev/admin.token                      token of the user `admin`, ADMIN of the org `dev` of tier BUSINESS
//   dev/address                          HOST:PORT of the running server, one line
//   dev/http_address                     HOST:PORT that browsers reach, one line
//   dev/metrics_address                  HOST:PORT that monitoring reaches, one line
//
// Everything is kept and used again by the next start.
struct DevPaths {
  explicit DevPaths(const std::string& data_dir);
  std::string data_dir, dev_dir, store_dir, kek, cert_file, key_file, ca_file, token, address, http_address,
      metrics_address;
};

// Makes what is missing of directories, KEK and certificates, and opens the store.
absl::StatusOr<storage::OpenedStore> OpenDevStore(const DevPaths& paths, absl::Time now);

// Makes the org and its ADMIN unless they exist, and a token for it unless the kept one is good for 7 more days.
absl::Status EnsureDevAdmin(const DevPaths& paths, const DirectoryContext& context);

// Where browsers reached the last run, since providers know that address; a free port of 127.0.0.1 if there was none,
// or something else listens there by now.
std::string KeptHttpAddress(const DevPaths& paths);

// Says in dev/address, dev/http_address and dev/metrics_address where the server listens.
absl::Status WriteDevAddresses(const DevPaths& paths, const std::string& address, const std::string& http_address,
                               const std::string& metrics_address);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_DEV_DEV_SETUP_H_
