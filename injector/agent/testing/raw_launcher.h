#ifndef KEYFERRY_INJECTOR_AGENT_TESTING_RAW_LAUNCHER_H_
#define KEYFERRY_INJECTOR_AGENT_TESTING_RAW_LAUNCHER_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "injector/agent/frame_reader.h"
#include "injector/agent/protocol.h"
#include "injector/supervise/descriptor.h"

namespace keyferry::testing {

// A launcher that says what the test wants, well-behaved or not. Calls that wait give up after 30 seconds.
class RawLauncher {
 public:
  // Connects; connected() says whether that worked.
  explicit RawLauncher(const std::string& directory);

  bool connected() const { return socket_.valid(); }
  // False once the agent has ended the connection.
  bool Send(absl::string_view bytes);
  bool Hello(injector::agent::LaunchMode mode = injector::agent::LaunchMode::kSupervise, int64_t running = 0,
             int64_t pid = 7);
  bool Confirm(int64_t revision, int64_t pid);

  // The next message in words: "environment R A=1 B=2", "stale environment ...", "notice KIND LINE", "error CODE LINE",
  // "drain", "end" or "nothing" if there is none in time.
  std::string Next();
  // The same, if it is there without waiting; "" if not.
  std::string Peek();

 private:
  std::string Read(int timeout_ms);
  std::string InWords() const;

  injector::Descriptor socket_;
  std::string data_;
  size_t taken_ = 0;
  injector::agent::FrameReader reader_{injector::agent::kMaxFrameToLauncher};
};

}  // namespace keyferry::testing

#endif  // KEYFERRY_INJECTOR_AGENT_TESTING_RAW_LAUNCHER_H_
