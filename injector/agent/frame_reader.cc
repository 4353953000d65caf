#include "injector/agent/frame_reader.h"

#include <algorithm>

namespace keyferry::injector::agent {

FrameReader::Result FrameReader::Take(absl::string_view& data) {
  if (broken_) return Result::kBroken;
  if (header_filled_ == 0) frame_ = client::SecretText();
  while (header_filled_ < kHeaderBytes) {
    if (data.empty()) return Result::kMore;
    header_[header_filled_++] = static_cast<uint8_t>(data.front());
    data.remove_prefix(1);
    if (header_filled_ < kHeaderBytes) continue;
    const size_t size = size_t{header_[0]} << 24 | size_t{header_[1]} << 16 | size_t{header_[2]} << 8 | header_[3];
    broken_ = size == 0 || size > max_bytes_;
    if (broken_) return Result::kBroken;
    frame_ = client::SecretText(size);
    filled_ = 0;
  }
  const size_t taken = std::min(data.size(), frame_.size() - filled_);
  std::copy_n(data.begin(), taken, frame_.ExposeMutable() + filled_);
  data.remove_prefix(taken);
  filled_ += taken;
  if (filled_ < frame_.size()) return Result::kMore;
  header_filled_ = 0;
  return Result::kFrame;
}

}  // namespace keyferry::injector::agent
