#ifndef KEYFERRY_STORAGE_CRYPTO_SECRET_FILE_H_
#define KEYFERRY_STORAGE_CRYPTO_SECRET_FILE_H_

#include <sys/stat.h>
#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace keyferry::storage {

// Whether a file that `user` reads a secret from is private enough: one of that user that nobody else can use, or one
// of root that its group can read and nobody else can use. The second is how Kubernetes gives a Secret to a pod that
// does not run as root (`fsGroup`). FAILED_PRECONDITION, which names the file as `what` and says what to do, if not.
absl::Status CheckSecretFile(const struct stat& info, uid_t user, absl::string_view what, const std::string& path);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_CRYPTO_SECRET_FILE_H_
