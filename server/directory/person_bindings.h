#ifndef KEYFERRY_SERVER_DIRECTORY_PERSON_BINDINGS_H_
#define KEYFERRY_SERVER_DIRECTORY_PERSON_BINDINGS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

// For how long it is remembered that a subject's tokens called as a user: as old as a token may ever become, and more
// than clocks may differ.
inline constexpr absl::Duration kEndedKept = absl::Hours(7 * 24 + 1);
// Of one organization, each by itself.
inline constexpr int kMaxEnded = 1000;

// Whether both are bound to the same subject of the same issuer, whatever that is called, or neither to any.
bool SameSubject(const storage::records::UserRecord& a, const storage::records::UserRecord& b);

// Adds to `mutation` what becomes of the bindings as the user `before` becomes `after`; one who is not there has no
// issuer. What was issued to the subject of `before` until now, and by a clock that is kJwtLeeway ahead, counts no
// more, unless it is that of `after`. What was remembered for long enough is dropped; so is the rest where `max_ended`
// are remembered, and then nothing that is as old makes or binds anybody (kEndedFloor).
//
// ALREADY_EXISTS if the subject is another user's.
absl::Status StageBinding(const storage::StoreView& view, const std::string& org,
                          const storage::records::UserRecord& before, const storage::records::UserRecord& after,
                          absl::Time now, storage::Mutation* mutation, int max_ended = kMaxEnded);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_DIRECTORY_PERSON_BINDINGS_H_
