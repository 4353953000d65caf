#ifndef KEYFERRY_SERVER_AUDIT_STREAM_STATE_H_
#define KEYFERRY_SERVER_AUDIT_STREAM_STATE_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/audit/line_sink.h"
#include "storage/crypto/sha256.h"

namespace keyferry::server {

// The last entry of one journal that was streamed.
struct StreamCursor {
  uint64_t sequence = 0;
  storage::Sha256Digest hash{};
};

// How far each org's journal was streamed, as of a size of the file: kept in `FILE.state` beside it, which is replaced
// by rename. Lines that were written after it was saved are found in the file itself.
struct StreamState {
  LineSink::Place place;
  std::map<std::string, StreamCursor> cursors;

  // NOT_FOUND if there is none; DATA_LOSS if it is not one.
  static absl::StatusOr<StreamState> Load(const std::string& path);
  absl::Status Save(const std::string& path) const;

  // Moves the cursors on over the lines of the file from place.size to its last newline, and sets place.size to that.
  // DATA_LOSS names the byte at which a line is none.
  absl::Status Follow(const std::string& file);
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_AUDIT_STREAM_STATE_H_
