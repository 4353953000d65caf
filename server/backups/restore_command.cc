#include "server/backups/restore_command.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "server/backups/own_record.h"
#include "server/backups/restored_access.h"
#include "server/status_macros.h"
#include "storage/backup/backup_reader.h"
#include "storage/backup/restore.h"

namespace keyferry::server {
namespace {

std::string TimeText(absl::Time time) { return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone()); }

// In one text whatever somebody called a token.
std::string Printable(const std::string& text) {
  std::string out;
  for (char c : text) out.push_back(static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c);
  return out;
}

void PrintBackup(const std::string& path, const storage::BackupManifest& manifest, std::ostream& out) {
  out << "Backup:         " << path << "\nId:             " << manifest.backup_id
      << "\nMade at:        " << TimeText(manifest.time) << "\nStore:          " << manifest.store_id
      << "\nEntries:        " << manifest.entries << "\nBytes:          " << manifest.TotalBytes() << "\n";
}

void PrintOrg(const RestoredOrg& org, bool with_tokens, std::ostream& out) {
  out << "Organization:   orgs/" << org.id << ": " << org.users << " users, " << org.credentials << " credentials, "
      << org.connections << " connections, " << org.tokens.size() << " tokens, " << org.sessions << " sessions\n"
      << "  audit log ends with entry " << org.last_audit_sequence << ", hash " << org.last_audit_hash << "\n";
  if (!with_tokens) return;
  for (const KnownToken& token : org.tokens) {
    out << "  token " << token.id << " of " << token.principal << " made " << TimeText(token.create_time) << " expires "
        << TimeText(token.expire_time) << ": " << Printable(token.display_name) << "\n";
  }
}

// Everything that is done with the restored store before it has its place.
absl::Status Finish(const RestoreRequest& request, const storage::BackupManifest& manifest, storage::Store* store,
                    std::vector<RestoredOrg>* orgs) {
  ASSIGN_OR_RETURN(*orgs, DescribeOrgs(*store));
  if (request.access == RestoreRequest::kRevoke) RETURN_IF_ERROR(RevokeAllAccess(store));
  const char* const method =
      request.access == RestoreRequest::kRevoke ? "keyferryd/RestoreAndRevokeTokens" : "keyferryd/Restore";
  const std::string resource = absl::StrCat("backups/", manifest.backup_id);
  RETURN_IF_ERROR(CommitOwnEntry(store, request.now, /*org=*/"", method, resource, absl::OkStatus()));
  for (const RestoredOrg& org : *orgs) {
    RETURN_IF_ERROR(CommitOwnEntry(store, request.now, org.id, method, resource, absl::OkStatus()));
  }
  return absl::OkStatus();
}

void PrintNextSteps(const RestoreRequest& request, const storage::BackupManifest& manifest, std::ostream& out) {
  const std::string time = TimeText(manifest.time);
  out << "\nEverything is as it was at " << time << ". Next:\n";
  if (request.access == RestoreRequest::kRevoke) {
    out << "- every token and session was revoked; keyferryd init --org ORG --admin USER issues an ADMIN's token, "
           "with\n"
           "  which the others are made anew\n";
  } else {
    out << "- the tokens above and "
        << "the sessions are valid, ALSO THOSE THAT WERE REVOKED SINCE: revoke them with\n"
           "  keyferry token revoke NAME, or restore again with --tokens revoke\n";
  }
  out << "- users, roles and memberships that were taken away since " << time << " are back: take them away again\n"
      << "- credentials that were deleted or rotated since are back with their old values: delete or rotate them "
         "again\n"
      << "- OAuth connections whose refresh token was rotated since show CONNECT_NEEDED at their next refresh: "
         "connect\n"
         "  them again\n"
      << "- start keyferryd on " << request.data_dir << "\n";
}

}  // namespace

absl::Status RestoreAndReport(const RestoreRequest& request, const storage::KeyProvider& key_provider,
                              std::ostream& out) {
  std::vector<RestoredOrg> orgs;
  storage::RestoreOptions options;
  options.backup = request.backup;
  options.data_dir = request.data_dir;
  options.check_only = request.check_only;
  options.inspect = [&](const storage::BackupManifest& manifest, storage::Store& store) {
    return Finish(request, manifest, &store, &orgs);
  };
  ASSIGN_OR_RETURN(const storage::BackupManifest manifest, storage::RestoreBackup(options, key_provider));
  PrintBackup(request.backup, manifest, out);
  for (const RestoredOrg& org : orgs) {
    PrintOrg(org, !request.check_only && request.access == RestoreRequest::kKeep, out);
  }
  if (request.check_only) {
    out << "Every record is authentic and every audit log whole; this was a check, and nothing was restored.\n";
  } else {
    out << "Restored to:    " << request.data_dir << "\n";
    PrintNextSteps(request, manifest, out);
  }
  out << std::flush;
  return absl::OkStatus();
}

absl::Status VerifyBackupAndReport(const std::string& backup, const storage::KeyProvider& key_provider,
                                   std::ostream& out) {
  ASSIGN_OR_RETURN(const storage::BackupReader reader, storage::BackupReader::Open(backup, key_provider));
  RETURN_IF_ERROR(reader.VerifyFiles());
  PrintBackup(backup, reader.manifest(), out);
  out << "Its files are whole and of one backup; keyferryd restore --check opens every record as well.\n" << std::flush;
  return absl::OkStatus();
}

}  // namespace keyferry::server
