#include "server/commands.h"

#include <unistd.h>

#include <iostream>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/audit/audit_line.h"
#include "server/backup_commands.h"
#include "server/configured_store.h"
#include "server/init_command.h"
#include "server/log.h"
#include "server/rpc/grpc_log.h"
#include "server/serve.h"
#include "server/status_macros.h"
#include "storage/journal.h"
#include "storage/open.h"

namespace keyferry::server {
namespace {

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
