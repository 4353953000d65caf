#ifndef KEYFERRY_STORAGE_TABLE_H_
#define KEYFERRY_STORAGE_TABLE_H_

#include <cstdint>

namespace keyferry::storage {

// The kinds of record. Persisted in keys and in associated data: never renumber, never reuse.
enum class Table : uint8_t {
  // System space (RecordKey::org is empty; sealed under the system keyring, org id "").
  kOrg = 1,         // parent "", id = org id
  kTokenIndex = 2,  // parent "", id = hex SHA-256 of the token's text; payload names the org and the token record
  // parent "", id = hex SHA-256 of a start URL's secret or of a `state`; payload names the org and the attempt
  kConnectionAttemptIndex = 3,
  // parent "", id = hex SHA-256 of an identity (server/identity/external_identity.h); payload names the workload
  kWorkloadIdentity = 4,

  // Organization space. `parent` is what stands between the org and the collection in the resource name: "" for the
  // org itself, "teams/{team}", "users/{user}", "services/{service}" or "workloads/{workload}".
  kUser = 16,        // parent "", id = user
  kTeam = 17,        // parent "", id = team
  kTeamMember = 18,  // parent "teams/{team}", id = user
  kMembership = 19,  // parent "users/{user}", id = team: the same fact, found from the user's side
  kService = 20,     // parent "", id = service
  kWorkload = 21,    // parent "", id = workload
  kToken = 22,       // parent = the principal, id = token id
  kSession = 24,     // parent "", id = session id
  kSessionKey = 25,  // parent "", id = decimal key id. Holds a private key.
  // parent "bound" or "ended", id = hex SHA-256 of an issuer's URL and a `sub`; parent "floor", id "org"
  // (server/identity/person_binding.h)
  kPersonBinding = 26,
  kPersonClaims = 27,     // parent "", id = user: which claims of theirs are the newest
  kCredential = 32,       // parent = scope, id = name; metadata only
  kCredentialValue = 33,  // parent = scope, id = name; the current value. Holds values.
  kPreviousValue = 34,    // parent = scope, id = name; the version kept for rollback. Holds values.
  kCredentialUsage = 35,  // parent = scope, id = name, or "connections/{provider}"; last use
  kMcpServer = 48,        // parent = scope, id = server; static values included. Holds values.
  kOauthProvider = 56,    // parent "", id = provider. Holds values: client secret, private keys
  kConnection = 57,       // parent = scope, id = provider; metadata only
  kConnectionToken = 58,  // parent = scope, id = provider; access and refresh token. Holds values.
  kConnectionLease = 59,  // parent = scope, id = provider: who is refreshing it
  // parent = scope, id = attempt id; payload names who started it. Holds values: PKCE verifier.
  kConnectionAttempt = 60,
  kRevocation = 61,  // parent "", id = random: a token that is still to be revoked at its provider. Holds values.
  // 64 was the events of resolutions, before there were journals.

  // In the organization space and in the system space.
  kJournalHead = 65,   // parent "", id "head": the ends of the journal (journal.h)
  kJournalBlock = 66,  // parent "", id = 16 hex digits of the block's number

  kUsageState = 67,  // parent "", id "state": which entries of the journal are in kCredentialUsage
};

constexpr bool IsJournal(Table table) { return table == Table::kJournalHead || table == Table::kJournalBlock; }

// Whether payloads of the table hold values or private keys that must leave the files after a delete or replacement.
constexpr bool HoldsValues(Table table) {
  return table == Table::kCredentialValue || table == Table::kPreviousValue || table == Table::kMcpServer ||
         table == Table::kSessionKey || table == Table::kOauthProvider || table == Table::kConnectionToken ||
         table == Table::kConnectionAttempt || table == Table::kRevocation;
}

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_TABLE_H_
