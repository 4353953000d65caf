#ifndef KEYFERRY_SERVER_RPC_PEM_FILES_H_
#define KEYFERRY_SERVER_RPC_PEM_FILES_H_

#include <string>

#include "absl/status/status.h"

namespace keyferry::server {

// OK if the files hold a certificate and the private key that belongs to it. INVALID_ARGUMENT says which file is wrong
// and why; gRPC itself would only fail every handshake.
absl::Status CheckCertificateFiles(const std::string& cert_file, const std::string& key_file);

// OK if the file holds at least one certificate.
absl::Status CheckCaFile(const std::string& ca_file);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RPC_PEM_FILES_H_
