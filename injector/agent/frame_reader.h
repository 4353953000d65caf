#ifndef KEYFERRY_INJECTOR_AGENT_FRAME_READER_H_
#define KEYFERRY_INJECTOR_AGENT_FRAME_READER_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "client/secret_text.h"
#include "injector/agent/protocol.h"

namespace keyferry::injector::agent {

// Gathers the frames of one direction of a connection from pieces of any size. Holds at most one frame, which is wiped
// when the next one begins. Not thread-safe.
class FrameReader {
 public:
  enum class Result {
    // All of `data` was taken, and more is needed.
    kMore,
    // type() and payload() are a whole frame until the next call.
    kFrame,
    // A frame is empty or longer than allowed. Nothing more can be read.
    kBroken,
  };

  // Of what follows the length of a frame.
  explicit FrameReader(size_t max_bytes) : max_bytes_(max_bytes) {}

  // Takes bytes from the front of `data`, up to the end of one frame.
  Result Take(absl::string_view& data);

  MessageType type() const { return static_cast<MessageType>(frame_.Expose()[0]); }
  absl::string_view payload() const { return frame_.Expose().substr(1); }
  // Whether a frame has begun and is not whole.
  bool within_frame() const { return header_filled_ > 0; }

 private:
  static constexpr size_t kHeaderBytes = 4;

  size_t max_bytes_;
  uint8_t header_[kHeaderBytes] = {};
  size_t header_filled_ = 0;
  client::SecretText frame_;
  size_t filled_ = 0;
  bool broken_ = false;
};

}  // namespace keyferry::injector::agent

#endif  // KEYFERRY_INJECTOR_AGENT_FRAME_READER_H_
