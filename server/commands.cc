#include "server/commands.h"

#include <unistd.h>

#include <iostream>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/audit/audit_line.h"
#include "server/backup_commands.h"
#include "server/configured_store.h"
#include "server/directory/bootstrap.h"
#include "server/files.h"
#include "server/log.h"
#include "server/rpc/grpc_log.h"
#include "server/serve.h"
#include "server/status_macros.h"
#include "storage/journal.h"
#include "storage/open.h"

namespace keyferry::server {
namespace {

constexpr absl::Duration kInitTokenLifetime = absl::Hours(24 * 365);

absl::Status Init(const CommandLine& command_line) {
  const config::Config& config = command_line.config;
  // The token's file is the last that is written: what came before is done, or done again.
  if (command_line.once && access(command_line.token_file.c_str(), F_OK) == 0) {
    std::cerr << "keyferryd: " << command_line.token_file << " is there already; nothing was done\n";
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(EnsurePrivateDirectory(config.data_dir()));
  const std::string& kek = config.key_provider().file();
  if (!kek.empty() && access(kek.c_str(), F_OK) != 0) {
    // A store that exists was wrapped by another KEK; a new one beside it would only hide that it is lost.
    ASSIGN_OR_RETURN(const bool empty, IsEmptyDirectory(config.data_dir()));
    if (!empty) {
      return absl::NotFoundError(absl::StrCat("the KEK file ", kek, " is missing, and ", config.data_dir(),
                                              " holds a store that was sealed with it; restore the file"));
    }
    RETURN_IF_ERROR(storage::CreateKekFile(kek));
  }
  const std::unique_ptr<Logger> warnings = MakeStderrLogger(LogLevel::kWarning);
  ASSIGN_OR_RETURN(const storage::OpenedStore opened, OpenConfiguredStore(config, /*create=*/true, warnings.get()));
  RETURN_IF_ERROR(FinishOrgDeletions(opened.store.get()));
  absl::Mutex changes;
  const DirectoryContext context{opened.store.get(), absl::Now, /*pages=*/nullptr, &changes};
  ASSIGN_OR_RETURN(const bool made,
                   EnsureOrgWithAdmin(context, command_line.org, command_line.tier, command_line.admin));
  ASSIGN_OR_RETURN(const IssuedToken issued, IssueTokenForUser(context, command_line.org, command_line.admin,
                                                               "keyferryd init", kInitTokenLifetime));
  std::cerr << "keyferryd: organization " << command_line.org << (made ? " made" : " exists") << ", user "
            << command_line.admin << " is ADMIN\n";
  if (!command_line.token_file.empty()) return WritePrivateFile(command_line.token_file, issued.text.Expose());
  std::cout << issued.text.Expose() << "\n" << std::flush;
  return absl::OkStatus();
}

absl::Status Verify(const CommandLine& command_line) {
  ASSIGN_OR_RETURN(const auto key_provider, LoadKeyProvider(command_line.config.key_provider()));
  ASSIGN_OR_RETURN(const auto store, storage::OpenStore(StoreOptions(command_line.config, false), *key_provider));
  RETURN_IF_ERROR(store->Verify());
  std::cout << "keyferryd: every record of " << command_line.config.data_dir() << " is authentic\n" << std::flush;
  return absl::OkStatus();
}

// Prints a journal as it is exported, oldest first.
absl::Status PrintAudit(const CommandLine& command_line) {
  ASSIGN_OR_RETURN(const auto key_provider, LoadKeyProvider(command_line.config.key_provider()));
  ASSIGN_OR_RETURN(const auto store, storage::OpenStore(StoreOptions(command_line.config, false), *key_provider));
  const auto view = store->View();
  absl::Status printed;
  ASSIGN_OR_RETURN(const auto damage,
                   storage::VerifyJournal(*view, command_line.org, [&](const storage::JournalEntry& entry) {
                     const absl::StatusOr<std::string> line = AuditLine(command_line.org, entry);
                     if (line.ok()) std::cout << *line;
                     printed.Update(line.status());
                   }));
  RETURN_IF_ERROR(printed);
  if (damage.has_value()) {
    return absl::DataLossError(absl::StrCat("the audit log breaks at entry ", damage->sequence, ": ", damage->problem));
  }
  ASSIGN_OR_RETURN(const storage::JournalHead head, storage::ReadJournalHead(*view, command_line.org));
  std::cout << AuditHeadLine(command_line.org, head) << std::flush;
  return absl::OkStatus();
}

absl::Status RotateKek(const CommandLine& command_line) {
  const config::Config& config = command_line.config;
  if (!IsSet(config.previous_key_provider())) {
    return absl::InvalidArgumentError(
        "`previous_key_provider` is not set; set it to the KEK that the store has, and `key_provider` to the next one");
  }
  ASSIGN_OR_RETURN(const auto previous, LoadKeyProvider(config.previous_key_provider()));
  const std::string& kek = config.key_provider().file();
  if (!kek.empty() && access(kek.c_str(), F_OK) != 0) RETURN_IF_ERROR(storage::CreateKekFile(kek));
  ASSIGN_OR_RETURN(const auto next, LoadKeyProvider(config.key_provider()));
  ASSIGN_OR_RETURN(const auto store, storage::OpenStore(StoreOptions(config, false), *previous));
  const std::unique_ptr<Logger> warnings = MakeStderrLogger(LogLevel::kWarning);
  RETURN_IF_ERROR(TakeKek(store.get(), *next, storage::PurgeBound(), warnings.get()));
  std::cout << "keyferryd: the store is wrapped by " << next->Description() << "; " << previous->Description()
            << " opens nothing any more\n"
            << std::flush;
  return absl::OkStatus();
}

}  // namespace

absl::Status RunCommand(const CommandLine& command_line) {
  DropGrpcLog();
  switch (command_line.command) {
    case CommandLine::kDev:
      return ServeDev(command_line);
    case CommandLine::kInit:
      return Init(command_line);
    case CommandLine::kVerify:
      return Verify(command_line);
    case CommandLine::kAudit:
      return PrintAudit(command_line);
    case CommandLine::kRotateKek:
      return RotateKek(command_line);
    case CommandLine::kBackup:
      return MakeBackup(command_line);
    case CommandLine::kVerifyBackup:
      return VerifyBackup(command_line);
    case CommandLine::kRestore:
      return Restore(command_line);
    case CommandLine::kServe:
      break;
  }
  return Serve(command_line);
}

}  // namespace keyferry::server
