#include "storage/crypto/secret_file.h"

#include "absl/strings/str_cat.h"

namespace keyferry::storage {

absl::Status CheckSecretFile(const struct stat& info, uid_t user, absl::string_view what, const std::string& path) {
  const bool ours = info.st_uid == user;
  if (!ours && info.st_uid != 0) {
    return absl::FailedPreconditionError(absl::StrCat(what, " ", path, " is owned by user ", info.st_uid,
                                                      ", not by user ", user, " who runs this: change its owner"));
  }
  const mode_t allowed = ours ? 0 : S_IRGRP;
  if ((info.st_mode & (S_IRWXG | S_IRWXO) & ~allowed) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(what, " ", path, " can be used by others: run chmod ", ours ? "600 " : "440 ", path));
}

}  // namespace keyferry::storage
