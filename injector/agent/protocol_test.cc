// Messages between launchers and the agent: what is written is read, and nothing else is.
#include "injector/agent/protocol.h"

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/agent/frame_reader.h"

namespace keyferry::injector::agent {
namespace {

ResolvedEnvironment Example() {
  ResolvedEnvironment environment;
  environment.revision = 42;
  const std::string values[] = {"a value", std::string("\xff\x01\n", 3), ""};
  for (const std::string& text : values) {
    ResolvedValue& value = environment.variables.emplace_back();
    value.name = "NAME";
    value.value = client::SecretText(text.size());
    std::copy(text.begin(), text.end(), value.value.ExposeMutable());
    value.allowed_by_org = text.empty();
    value.credential = "orgs/acme/credentials/NAME";
    value.version = 7;
    if (text.empty()) value.refresh_time = absl::FromUnixMillis(1234);
  }
  return environment;
}

absl::string_view Payload(const client::SecretText& frame) { return frame.Expose().substr(5); }

TEST(ProtocolTest, AnEnvironmentIsReadAsItWasWritten) {
  const ResolvedEnvironment written = Example();
  const client::SecretText frame = EnvironmentFrame(written, absl::FromUnixMillis(99));
  EnvironmentMessage read;
  ASSERT_TRUE(ReadEnvironment(Payload(frame), read));
  EXPECT_EQ(read.environment.revision, 42);
  EXPECT_EQ(read.stale_since, absl::FromUnixMillis(99));
  ASSERT_EQ(read.environment.variables.size(), written.variables.size());
  for (size_t i = 0; i < written.variables.size(); ++i) {
    const ResolvedValue& a = written.variables[i];
    const ResolvedValue& b = read.environment.variables[i];
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.value.Expose(), b.value.Expose());
    EXPECT_EQ(a.allowed_by_org, b.allowed_by_org);
    EXPECT_EQ(a.credential, b.credential);
    EXPECT_EQ(a.version, b.version);
    EXPECT_EQ(a.refresh_time, b.refresh_time);
  }
}

TEST(ProtocolTest, OtherMessagesAreReadAsTheyWereWritten) {
  Hello hello;
  ASSERT_TRUE(ReadHello(Payload(HelloFrame({kProtocolVersion, LaunchMode::kSupervise, 5, 6, "test 1"})), hello));
  EXPECT_EQ(hello.running_revision, 5);
  EXPECT_EQ(hello.pid, 6);
  EXPECT_EQ(hello.launcher, "test 1");
  Confirm confirm;
  ASSERT_TRUE(ReadConfirm(Payload(ConfirmFrame({8, 9})), confirm));
  EXPECT_EQ(confirm.revision, 8);
  EXPECT_EQ(confirm.pid, 9);
  Notice notice;
  ASSERT_TRUE(ReadNotice(Payload(NoticeFrame({NoticeKind::kStale, "line\nbreak"})), notice));
  EXPECT_EQ(notice.kind, NoticeKind::kStale);
  EXPECT_EQ(notice.line, "line?break");
  Failure failure;
  ASSERT_TRUE(ReadError(Payload(ErrorFrame({77, std::string(5000, 'x')})), failure));
  EXPECT_EQ(failure.exit_code, 77);
  EXPECT_EQ(failure.message.size(), kMaxLineBytes);
  AgentStatus status;
  ASSERT_TRUE(ReadStatus(Payload(StatusFrame({true, "fine"})), status));
  EXPECT_TRUE(status.ready);
  EXPECT_EQ(status.line, "fine");
}

TEST(ProtocolTest, TheExampleOfThePageIsWhatIsWritten) {
  const client::SecretText frame = HelloFrame({kProtocolVersion, LaunchMode::kSupervise, 0, 7, "test"});
  EXPECT_EQ(absl::BytesToHexString(frame.Expose()), "0000001c01000100000000000000000000000000000000070000000474657374");
}

template <typename Message, typename Read>
void ExpectStrict(const client::SecretText& frame, Read read) {
  const std::string good(Payload(frame));
  Message message;
  ASSERT_TRUE(read(good, message));
  for (size_t size = 0; size < good.size(); ++size) {
    Message shorter;
    EXPECT_FALSE(read(good.substr(0, size), shorter)) << size;
  }
  Message longer;
  EXPECT_FALSE(read(good + "x", longer));
  for (size_t i = 0; i < good.size() * 8; ++i) {
    std::string flipped = good;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << (i % 8)));
    Message other;
    read(flipped, other);
  }
}

TEST(ProtocolTest, NothingIsReadThatIsTooShortOrTooLong) {
  ExpectStrict<EnvironmentMessage>(EnvironmentFrame(Example(), absl::InfiniteFuture()), ReadEnvironment);
  ExpectStrict<Hello>(HelloFrame({kProtocolVersion, LaunchMode::kExec, 0, 6, "test"}), ReadHello);
  ExpectStrict<Confirm>(ConfirmFrame({8, 9}), ReadConfirm);
  ExpectStrict<Notice>(NoticeFrame({NoticeKind::kProblem, "line"}), ReadNotice);
  ExpectStrict<Failure>(ErrorFrame({78, "line"}), ReadError);
  ExpectStrict<AgentStatus>(StatusFrame({false, "line"}), ReadStatus);
}

TEST(ProtocolTest, NumbersThatMeanNothingAreRefused) {
  Hello hello;
  EXPECT_FALSE(ReadHello(Payload(HelloFrame({kProtocolVersion, static_cast<LaunchMode>(3), 0, 6, "x"})), hello));
  EXPECT_FALSE(ReadHello(Payload(HelloFrame({kProtocolVersion, LaunchMode::kSupervise, -1, 6, "x"})), hello));
  EXPECT_FALSE(ReadHello(Payload(HelloFrame({kProtocolVersion, LaunchMode::kExec, 3, 6, "x"})), hello));
  EXPECT_FALSE(ReadHello(Payload(HelloFrame({kProtocolVersion, LaunchMode::kTransient, 3, 6, "x"})), hello));
  EXPECT_FALSE(ReadHello(Payload(HelloFrame({kProtocolVersion, LaunchMode::kExec, 0, 6, "x\n"})), hello));
  Confirm confirm;
  EXPECT_FALSE(ReadConfirm(Payload(ConfirmFrame({0, 9})), confirm));
  EXPECT_FALSE(ReadConfirm(Payload(ConfirmFrame({8, -9})), confirm));
  Failure failure;
  EXPECT_FALSE(ReadError(Payload(ErrorFrame({0, "x"})), failure)) << "no launcher may take an error for a success";
  EXPECT_FALSE(ReadError(Payload(ErrorFrame({127, "x"})), failure));
}

// What another version says after its number is not known, so that only the number is read.
TEST(ProtocolTest, AnotherVersionIsRecognized) {
  Hello hello;
  EXPECT_TRUE(ReadHello(std::string("\x00\x02other", 7), hello));
  EXPECT_EQ(hello.version, 2);
}

TEST(FrameReaderTest, GathersFramesFromPiecesOfAnySize) {
  const std::string stream = std::string(ConfirmFrame({8, 9}).Expose()) + std::string(DrainFrame().Expose()) +
                             std::string(ConfirmFrame({10, 11}).Expose());
  for (size_t piece = 1; piece <= stream.size(); ++piece) {
    FrameReader reader(64);
    std::string types;
    for (size_t at = 0; at < stream.size(); at += piece) {
      const std::string bytes = stream.substr(at, piece);
      absl::string_view data = bytes;
      while (reader.Take(data) == FrameReader::Result::kFrame) {
        types += std::to_string(static_cast<int>(reader.type())) + ":" + std::to_string(reader.payload().size()) + " ";
      }
    }
    EXPECT_EQ(types, "2:16 19:0 2:16 ") << piece;
    EXPECT_FALSE(reader.within_frame());
  }
}

TEST(FrameReaderTest, TakesNoFrameThatIsEmptyOrTooLong) {
  for (const absl::string_view header : {absl::string_view("\0\0\0\0", 4), absl::string_view("\0\0\0\x41", 4),
                                         absl::string_view("\xff\xff\xff\xff", 4)}) {
    FrameReader reader(64);
    absl::string_view data = header;
    EXPECT_EQ(reader.Take(data), FrameReader::Result::kBroken);
    data = "more";
    EXPECT_EQ(reader.Take(data), FrameReader::Result::kBroken);
  }
  FrameReader reader(64);
  absl::string_view data("\0\0\0\x40", 4);
  EXPECT_EQ(reader.Take(data), FrameReader::Result::kMore);
  EXPECT_TRUE(reader.within_frame());
}

}  // namespace
}  // namespace keyferry::injector::agent
