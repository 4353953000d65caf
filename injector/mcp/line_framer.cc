#include "injector/mcp/line_framer.h"

#include <cstring>

namespace keyferry::injector::mcp {

bool LineFramer::Append(absl::string_view part, LineSink& sink) {
  if (part.size() > max_line_bytes_ - partial_.size()) {
    partial_.Clear();
    skipping_ = true;
    sink.OnOversizedLine();
    return false;
  }
  partial_.Append(part);
  return true;
}

void LineFramer::Write(absl::string_view input, LineSink& sink) {
  while (!input.empty()) {
    const void* const found = std::memchr(input.data(), '\n', input.size());
    if (found == nullptr) {
      if (!skipping_) Append(input, sink);
      return;
    }
    const size_t length = static_cast<const char*>(found) - input.data();
    if (skipping_) {
      skipping_ = false;
    } else if (partial_.empty() && length <= max_line_bytes_) {
      sink.OnLine(input.substr(0, length + 1));
    } else if (Append(input.substr(0, length), sink)) {
      partial_.Append("\n");
      sink.OnLine(partial_.text());
      partial_.Clear();
    } else {
      skipping_ = false;
    }
    input.remove_prefix(length + 1);
  }
}

void LineFramer::Finish(LineSink& sink) {
  if (!partial_.empty()) sink.OnLine(partial_.text());
  partial_.Clear();
  skipping_ = false;
}

}  // namespace keyferry::injector::mcp
