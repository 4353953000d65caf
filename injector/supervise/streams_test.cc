#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/supervise/descriptor.h"
#include "injector/supervise/error_log.h"
#include "injector/supervise/event_loop.h"
#include "injector/supervise/input_stream.h"
#include "injector/supervise/output_stream.h"
#include "injector/supervise/rotation_schedule.h"
#include "injector/supervise/signal_names.h"

namespace keyferry::injector {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class StreamsTest : public ::testing::Test {
 protected:
  StreamsTest() { signal(SIGPIPE, SIG_IGN); }

  template <typename Condition>
  void RunUntil(Condition condition) {
    bool late = false;
    const EventLoop::TimerId timer = loop_->After(absl::Seconds(20), [&late] { late = true; });
    while (!condition() && !late) loop_->RunOnce();
    EXPECT_FALSE(late);
    loop_->Cancel(timer);
  }
  std::string ReadAll(int descriptor) {
    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    std::string text(1 << 22, '\0');
    const ssize_t size = read(descriptor, text.data(), text.size());
    text.resize(size < 0 ? 0 : static_cast<size_t>(size));
    return text;
  }

  const std::unique_ptr<EventLoop> loop_ = EventLoop::Create();
  Pipe pipe_ = Pipe::Make();
};

TEST_F(StreamsTest, TimersInOrderOnceAndNotAfterCancel) {
  std::vector<int> called;
  loop_->After(absl::Milliseconds(20), [&] { called.push_back(2); });
  loop_->After(absl::Milliseconds(5), [&] { called.push_back(1); });
  loop_->Cancel(loop_->After(absl::Milliseconds(10), [&] { called.push_back(9); }));
  RunUntil([&] { return called.size() == 2; });
  EXPECT_THAT(called, ElementsAre(1, 2));
}

TEST_F(StreamsTest, WatchForgottenByAnotherCallbackOfTheSameRound) {
  Pipe other = Pipe::Make();
  int calls = 0;
  EventLoop::WatchId first = 0;
  EventLoop::WatchId second = 0;
  const auto forget_both = [&](uint32_t) {
    ++calls;
    loop_->Forget(first);
    loop_->Forget(second);
  };
  first = loop_->Watch(pipe_.read_end.get(), 1, forget_both);
  second = loop_->Watch(other.read_end.get(), 1, forget_both);
  ASSERT_EQ(write(pipe_.write_end.get(), "x", 1), 1);
  ASSERT_EQ(write(other.write_end.get(), "x", 1), 1);
  loop_->RunOnce();
  EXPECT_EQ(calls, 1);
}

TEST_F(StreamsTest, OutputKeepsOrderAndSaysWhenFull) {
  OutputStream output(*loop_, SharedEndpoint::Own(std::move(pipe_.write_end)));
  std::string expected;
  while (!output.full()) {
    const std::string piece = std::to_string(expected.size()) + ",";
    output.Write(piece);
    expected += piece;
  }
  bool room = false;
  output.WhenRoom([&] { room = true; });
  std::string read;
  RunUntil([&] {
    read += ReadAll(pipe_.read_end.get());
    return output.pending() == 0;
  });
  read += ReadAll(pipe_.read_end.get());
  EXPECT_TRUE(room);
  EXPECT_TRUE(read == expected);
}

TEST_F(StreamsTest, OutputHearsOfAReaderThatGoes) {
  OutputStream output(*loop_, SharedEndpoint::Own(std::move(pipe_.write_end)));
  int broken = 0;
  output.OnBroken([&] { ++broken; });
  pipe_.read_end.Reset();
  RunUntil([&] { return broken > 0; });
  output.Write("into nothing");
  EXPECT_EQ(output.pending(), size_t{0});
  bool closed = false;
  output.Finish([&] { closed = true; });
  RunUntil([&] { return closed; });
  EXPECT_EQ(broken, 1);
}

TEST_F(StreamsTest, SharedPipeStaysBlockingForOthers) {
  OutputStream output(*loop_, SharedEndpoint::ForWriting(pipe_.write_end.get()));
  output.Write(std::string(200000, 'x'));
  EXPECT_GT(output.pending(), size_t{0});
  EXPECT_EQ(fcntl(pipe_.write_end.get(), F_GETFL) & O_NONBLOCK, 0);
}

TEST_F(StreamsTest, InputPausesAndEnds) {
  std::string received;
  bool ended = false;
  InputStream input(
      *loop_, SharedEndpoint::ForReading(pipe_.read_end.get()),
      [&](absl::string_view data) { received.append(data.data(), data.size()); }, [&] { ended = true; });
  input.Pause();
  ASSERT_EQ(write(pipe_.write_end.get(), "later", 5), 5);
  bool waited = false;
  loop_->After(absl::Milliseconds(20), [&] { waited = true; });
  RunUntil([&] { return waited; });
  EXPECT_EQ(received, "");
  input.Resume();
  RunUntil([&] { return !received.empty(); });
  EXPECT_EQ(received, "later");
  pipe_.write_end.Reset();
  RunUntil([&] { return ended; });
}

TEST_F(StreamsTest, InputFinishesThoughOthersHoldThePipe) {
  std::string received;
  bool ended = false;
  InputStream input(
      *loop_, SharedEndpoint::ForReading(pipe_.read_end.get()),
      [&](absl::string_view data) { received.append(data.data(), data.size()); }, [&] { ended = true; });
  ASSERT_EQ(write(pipe_.write_end.get(), "left", 4), 4);
  input.FinishSoon();
  ASSERT_EQ(write(pipe_.write_end.get(), "not waited for", 14), 14);
  RunUntil([&] { return ended; });
  EXPECT_EQ(received, "left");
}

TEST_F(StreamsTest, ScheduleActsOnceForManyChanges) {
  int acts = 0;
  RotationSchedule schedule(*loop_, absl::Milliseconds(20), absl::ZeroDuration(), [&] { ++acts; });
  for (int i = 0; i < 50; ++i) schedule.Changed();
  bool waited = false;
  loop_->After(absl::Milliseconds(200), [&] { waited = true; });
  RunUntil([&] { return waited; });
  EXPECT_EQ(acts, 1);
}

TEST_F(StreamsTest, ScheduleActsAlthoughChangesNeverStop) {
  int acts = 0;
  RotationSchedule schedule(*loop_, absl::Milliseconds(5), absl::ZeroDuration(), [&] { ++acts; });
  std::function<void()> again = [&] {
    schedule.Changed();
    loop_->After(absl::Milliseconds(1), again);
  };
  again();
  RunUntil([&] { return acts > 0; });
}

TEST_F(StreamsTest, LogLinesAreBoundedAndCounted) {
  OutputStream output(*loop_, SharedEndpoint::Own(std::move(pipe_.write_end)));
  ErrorLog log(output, "keyferry-injector");
  output.Write("half a line");
  for (int i = 0; i < 1000; ++i) log.Line("a line");
  const std::string text = ReadAll(pipe_.read_end.get());
  EXPECT_THAT(text, HasSubstr("half a line\nkeyferry-injector: a line\n"));
  EXPECT_LT(std::count(text.begin(), text.end(), '\n'), 40);
}

TEST(SignalNames, BothWays) {
  EXPECT_EQ(SignalNumber("HUP"), SIGHUP);
  EXPECT_EQ(SignalNumber("sigusr1"), SIGUSR1);
  EXPECT_EQ(SignalNumber("15"), SIGTERM);
  EXPECT_EQ(SignalNumber("RTMIN+2"), SIGRTMIN + 2);
  for (const char* wrong : {"", "SIG", "NOPE", "0", "-1", "65", "RTMIN+99", "RTMIN-1"}) {
    EXPECT_EQ(SignalNumber(wrong), 0) << wrong;
  }
  EXPECT_EQ(SignalName(SIGHUP), "SIGHUP");
  EXPECT_EQ(SignalName(SIGRTMIN + 2), "SIGRTMIN+2");
}

}  // namespace
}  // namespace keyferry::injector
