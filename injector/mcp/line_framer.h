#ifndef KEYFERRY_INJECTOR_MCP_LINE_FRAMER_H_
#define KEYFERRY_INJECTOR_MCP_LINE_FRAMER_H_

#include <cstddef>

#include "absl/strings/string_view.h"
#include "injector/mcp/growing_buffer.h"

namespace keyferry::injector::mcp {

class LineSink {
 public:
  virtual ~LineSink() = default;
  // Includes '\n', except for the last line of a stream that does not end with one. Valid during the call.
  virtual void OnLine(absl::string_view line) = 0;
  // A line was longer than the bound and is thrown away, all of it. Called once per such line, as soon as it is known.
  virtual void OnOversizedLine() = 0;
};

// Divides a byte stream into the newline-delimited messages of the stdio transport (MCP specification,
// basic/transports#stdio). Lines that lie within one Write are passed on without a copy. Holds at most
// `max_line_bytes`, not counting '\n'. Not thread-safe; a sink must not call it back.
class LineFramer {
 public:
  explicit LineFramer(size_t max_line_bytes) : max_line_bytes_(max_line_bytes) {}

  void Write(absl::string_view input, LineSink& sink);
  // End of stream: what is left is a line.
  void Finish(LineSink& sink);

  size_t held() const { return partial_.size(); }

  // While a sink is being given a line: that line, if it came in several pieces. A sink may move it out.
  GrowingBuffer& gathered() { return partial_; }

 private:
  bool Append(absl::string_view part, LineSink& sink);

  const size_t max_line_bytes_;
  GrowingBuffer partial_;
  bool skipping_ = false;  // To the end of an oversized line.
};

}  // namespace keyferry::injector::mcp

#endif  // KEYFERRY_INJECTOR_MCP_LINE_FRAMER_H_
