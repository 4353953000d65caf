// What a launcher or an agent may be sent. The first byte chooses the direction; the rest is a stream of frames, cut
// into pieces. Nothing may crash, no frame is longer than its bound, and what is read is written the same again.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "injector/agent/frame_reader.h"
#include "injector/agent/protocol.h"

namespace {

namespace agent = keyferry::injector::agent;
using agent::MessageType;

void Require(bool holds) {
  if (!holds) std::abort();
}

void RequireSame(const keyferry::client::SecretText& frame, absl::string_view payload) {
  Require(frame.Expose().substr(5) == payload);
}

void Read(MessageType type, absl::string_view payload) {
  agent::Hello hello;
  agent::Confirm confirm;
  agent::EnvironmentMessage environment;
  agent::Notice notice;
  keyferry::injector::Failure failure;
  agent::AgentStatus status;
  switch (type) {
    case MessageType::kHello:
      if (agent::ReadHello(payload, hello) && hello.version == agent::kProtocolVersion) {
        RequireSame(agent::HelloFrame(hello), payload);
      }
      return;
    case MessageType::kConfirm:
      if (agent::ReadConfirm(payload, confirm)) RequireSame(agent::ConfirmFrame(confirm), payload);
      return;
    case MessageType::kEnvironment:
      if (!agent::ReadEnvironment(payload, environment)) return;
      Require(agent::EnvironmentFrame(environment.environment, environment.stale_since).size() == payload.size() + 5);
      return;
    case MessageType::kNotice:
      if (agent::ReadNotice(payload, notice)) RequireSame(agent::NoticeFrame(notice), payload);
      return;
    case MessageType::kError:
      if (agent::ReadError(payload, failure)) RequireSame(agent::ErrorFrame(failure), payload);
      return;
    case MessageType::kStatus:
      if (agent::ReadStatus(payload, status)) RequireSame(agent::StatusFrame(status), payload);
      return;
    case MessageType::kDrain:
      return;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  if (size == 0) return 0;
  const size_t bound = bytes[0] % 2 == 0 ? agent::kMaxFrameToAgent : agent::kMaxFrameToLauncher;
  const size_t piece = bytes[0] / 2 + 1;
  absl::string_view input(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  agent::FrameReader reader(bound);
  while (!input.empty()) {
    absl::string_view data = input.substr(0, piece);
    input.remove_prefix(data.size());
    while (!data.empty()) {
      const agent::FrameReader::Result result = reader.Take(data);
      if (result == agent::FrameReader::Result::kBroken) return 0;
      if (result == agent::FrameReader::Result::kMore) break;
      Require(reader.payload().size() < bound);
      Read(reader.type(), reader.payload());
    }
  }
  return 0;
}
