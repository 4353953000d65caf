#ifndef KEYFERRY_SERVER_SESSIONS_SESSION_KEYS_H_
#define KEYFERRY_SERVER_SESSIONS_SESSION_KEYS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "storage/crypto/ed25519.h"
#include "storage/store.h"

namespace keyferry::server {

// The keys that sign an organization's session tokens. The private keys are sealed in the store like values, and are
// open in memory only while something is signed. Errors are the store's own.

struct SessionSigner {
  int64_t key_id = 0;
  std::unique_ptr<const storage::Ed25519Signer> signer;
};

// The org's newest key. If it has none, a new one, which `mutation` then stores: two who make the first one at the same
// time get one ABORTED.
absl::StatusOr<SessionSigner> SignerFor(const storage::StoreView& view, const std::string& org, int64_t now_nanos,
                                        storage::Mutation* mutation);

// What everybody may know of a key.
struct SessionPublicKey {
  int64_t key_id = 0;
  std::string public_key;
  int64_t create_time = 0;
};

// Newest first.
absl::StatusOr<std::vector<SessionPublicKey>> ReadSessionKeys(const storage::StoreView& view, const std::string& org);

// The public key of that id, "" if there is none.
absl::StatusOr<std::string> ReadSessionKey(const storage::StoreView& view, const std::string& org, int64_t key_id);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_SESSIONS_SESSION_KEYS_H_
