#ifndef KEYFERRY_SERVER_DEV_CERTIFICATES_H_
#define KEYFERRY_SERVER_DEV_CERTIFICATES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace keyferry::server {

// Keeps a development CA and a server certificate in `directory`: ca.pem, ca.key, server.pem, server.key, all of mode
// 0600, EC P-256 (RFC 5280 profiles). The CA lasts 10 years and is kept; the server certificate, for localhost,
// 127.0.0.1 and ::1, lasts 90 days and is made anew when it is missing, does not fit the CA or ends within 30 days. A
// CA that is missing or ends within a year is made anew, with the server certificate.
absl::Status EnsureDevCertificates(const std::string& directory, absl::Time now);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_DEV_CERTIFICATES_H_
