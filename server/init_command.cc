#include "server/init_command.h"

#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "server/configured_store.h"
#include "server/directory/bootstrap.h"
#include "server/files.h"
#include "server/log.h"
#include "server/status_macros.h"
#include "storage/backup/backup_reader.h"
#include "storage/open.h"

namespace keyferry::server {
namespace {

absl::StatusOr<bool> IsMissingOrEmpty(const std::string& directory) {
  const absl::StatusOr<bool> empty = IsEmptyDirectory(directory);
  if (absl::IsNotFound(empty.status())) return true;
  return empty;
}

// Anything there counts, a damaged backup too. Where none can be looked for, none is made either.
absl::Status CheckNoBackups(const config::Config& config) {
  const std::string& directory = config.backup().directory();
  if (directory.empty()) return absl::OkStatus();
  const auto backups = storage::ListBackups(directory);
  if (absl::IsNotFound(backups.status())) return absl::OkStatus();
  RETURN_IF_ERROR(backups.status());
  if (backups->empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(config.data_dir(), " holds no store, and ", directory, " holds backups, the last ",
                   backups->back().path, ": a new store would stand in for one that is lost; restore it with ",
                   "`keyferryd restore`, or, to begin anew, move the backups away"));
}

absl::Status EnsureKek(const config::Config& config) {
  const std::string& kek = config.key_provider().file();
  if (kek.empty() || access(kek.c_str(), F_OK) == 0) return absl::OkStatus();
  // A store that exists was wrapped by another KEK; a new one beside it would only hide that it is lost.
  ASSIGN_OR_RETURN(const bool empty, IsEmptyDirectory(config.data_dir()));
  if (!empty) {
    return absl::NotFoundError(absl::StrCat("the KEK file ", kek, " is missing, and ", config.data_dir(),
                                            " holds a store that was sealed with it; restore the file"));
  }
  return storage::CreateKekFile(kek);
}

// With `once` a directory that is not empty may still hold no store.
absl::StatusOr<storage::OpenedStore> OpenOrMake(const CommandLine& command_line) {
  const std::unique_ptr<Logger> warnings = MakeStderrLogger(LogLevel::kWarning);
  if (command_line.once) {
    auto existing = OpenConfiguredStore(command_line.config, /*create=*/false, warnings.get());
    if (!absl::IsNotFound(existing.status())) return existing;
    RETURN_IF_ERROR(CheckNoBackups(command_line.config));
  }
  return OpenConfiguredStore(command_line.config, /*create=*/true, warnings.get());
}

absl::Status IssueAdminToken(const CommandLine& command_line, const DirectoryContext& context) {
  ASSIGN_OR_RETURN(const IssuedToken issued, IssueTokenForUser(context, command_line.org, command_line.admin,
                                                               "keyferryd init", command_line.token_lifetime));
  if (!command_line.token_file.empty()) return WritePrivateFile(command_line.token_file, issued.text.Expose());
  std::cout << issued.text.Expose() << "\n" << std::flush;
  return absl::OkStatus();
}

}  // namespace

absl::Status Init(const CommandLine& command_line) {
  const config::Config& config = command_line.config;
  if (command_line.once) {
    ASSIGN_OR_RETURN(const bool missing, IsMissingOrEmpty(config.data_dir()));
    if (missing) RETURN_IF_ERROR(CheckNoBackups(config));
  }
  RETURN_IF_ERROR(EnsurePrivateDirectory(config.data_dir()));
  RETURN_IF_ERROR(EnsureKek(config));
  ASSIGN_OR_RETURN(const storage::OpenedStore opened, OpenOrMake(command_line));
  RETURN_IF_ERROR(FinishOrgDeletions(opened.store.get()));
  if (command_line.once && !command_line.new_token) {
    ASSIGN_OR_RETURN(const bool founded, HasOrg(opened.store.get()));
    if (founded) {
      std::cerr << "keyferryd: " << config.data_dir() << " has an organization already; nothing was done\n";
      return absl::OkStatus();
    }
  }
  absl::Mutex changes;
  const DirectoryContext context{opened.store.get(), absl::Now, /*pages=*/nullptr, &changes};
  ASSIGN_OR_RETURN(const bool made,
                   EnsureOrgWithAdmin(context, command_line.org, command_line.tier, command_line.admin));
  std::cerr << "keyferryd: organization " << command_line.org << (made ? " made" : " exists") << ", user "
            << command_line.admin << " is ADMIN\n";
  return IssueAdminToken(command_line, context);
}

}  // namespace keyferry::server
