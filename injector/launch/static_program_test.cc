// The launcher needs nothing of the image that it runs in.
#include <elf.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/agent/testing/test_agent.h"
#include "injector/supervise/testing/program.h"

namespace keyferry::injector::launch {
namespace {

using testing::DataFile;
using ::testing::HasSubstr;
using testing::Outcome;
using testing::Program;
using testing::RunProgram;
using testing::ScratchDirectory;
using testing::TestAgent;

constexpr uid_t kSomebody = 12345;

std::string Contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string Launcher() { return DataFile("injector/keyferry-launch"); }

TEST(StaticProgramTest, ItNeedsNoLoaderAndNoLibrary) {
  const std::string program = Contents(Launcher());
  ASSERT_GT(program.size(), sizeof(Elf64_Ehdr));
  Elf64_Ehdr header;
  memcpy(&header, program.data(), sizeof(header));
  ASSERT_EQ(memcmp(header.e_ident, ELFMAG, SELFMAG), 0);
  ASSERT_GT(header.e_phnum, 0);
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    memcpy(&segment, program.data() + header.e_phoff + i * header.e_phentsize, sizeof(segment));
    EXPECT_NE(segment.p_type, static_cast<Elf64_Word>(PT_INTERP));
    if (segment.p_type != PT_DYNAMIC) continue;
    for (size_t at = 0; at + sizeof(Elf64_Dyn) <= segment.p_filesz; at += sizeof(Elf64_Dyn)) {
      Elf64_Dyn entry;
      memcpy(&entry, program.data() + segment.p_offset + at, sizeof(entry));
      EXPECT_NE(entry.d_tag, DT_NEEDED);
    }
  }
}

TEST(StaticProgramTest, ItIsSmallAndLinksNeitherGrpcNorProtobuf) {
  const std::string program = Contents(Launcher());
  EXPECT_LE(program.size(), size_t{3} * 1024 * 1024 / 2);
  // Each of them names itself in texts that it prints.
  for (const char* name : {"grpc", "protobuf", "BoringSSL", "yaml-cpp"})
    EXPECT_FALSE(absl::StrContains(program, name)) << name;
  EXPECT_TRUE(absl::StrContains(program, "keyferry-launch"));
}

// Directories of other users' containers, in an agent of this one's.
class EmptyRootTest : public ::testing::Test {
 protected:
  EmptyRootTest() {
    EXPECT_EQ(mkdir((scratch_ / "root").c_str(), 0755), 0);
    EXPECT_EQ(chmod(scratch_.path().c_str(), 0711), 0);
    EXPECT_EQ(mkdir((scratch_ / "root/keyferry").c_str(), 0755), 0);
    EXPECT_EQ(RunProgram({Launcher(), "--copy-to", scratch_ / "root/keyferry"}).status, 0);
  }
  void Serve(std::optional<uid_t> uid) {
    ASSERT_TRUE(agent_.Serve("a", scratch_ / "root/socket", uid).ok());
    agent_.Give("a", {{"GIVEN", "a long enough value"}}, 5);
  }
  // What becomes of the process before it runs the launcher. Only root may do all of it; anybody else does it in a user
  // namespace of his own.
  Outcome Run(const std::vector<std::string>& options, uid_t uid, bool read_only) {
    Program::Options how;
    const std::string root = scratch_ / "root";
    how.prepare = [root, uid, read_only] {
      const bool entered = geteuid() == 0 ? unshare(CLONE_NEWNS) == 0 : unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0;
      if (!entered) _exit(99);
      if (read_only && (mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
                        mount(root.c_str(), root.c_str(), nullptr, MS_BIND, nullptr) != 0 ||
                        mount(nullptr, root.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) != 0)) {
        _exit(98);
      }
      if (chroot(root.c_str()) != 0 || chdir("/") != 0) _exit(97);
      if (uid != 0 && (setgroups(0, nullptr) != 0 || setgid(uid) != 0 || setuid(uid) != 0)) _exit(96);
    };
    std::vector<std::string> command = {"/keyferry/keyferry-launch", "--socket", "/socket/agent.sock"};
    command.insert(command.end(), options.begin(), options.end());
    // The only static program that is there.
    command.insert(command.end(), {"--", "/keyferry/keyferry-launch", "--version"});
    return RunProgram(command, "", how);
  }

  ScratchDirectory scratch_;
  TestAgent agent_;
};

TEST_F(EmptyRootTest, ItInstallsItselfWholeAndForEverybody) {
  struct stat found = {};
  ASSERT_EQ(stat((scratch_ / "root/keyferry/keyferry-launch").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0555u);
  EXPECT_EQ(Contents(scratch_ / "root/keyferry/keyferry-launch"), Contents(Launcher()));
  EXPECT_EQ(RunProgram({Launcher(), "--copy-to", scratch_ / "root/keyferry"}).status, 0) << "again, over the old one";
  ASSERT_EQ(symlink((scratch_ / "root").c_str(), (scratch_ / "link").c_str()), 0);
  const Outcome refused = RunProgram({Launcher(), "--copy-to", scratch_ / "link"});
  EXPECT_EQ(WEXITSTATUS(refused.status), 64);
  EXPECT_THAT(refused.errors, HasSubstr("the directory cannot be opened"));
}

TEST_F(EmptyRootTest, ItRunsWhereNothingElseIs) {
  Serve(std::nullopt);
  for (const char* mode : {"--exec", "--on-rotate=ignore"}) {
    const Outcome outcome = Run({mode}, geteuid(), /*read_only=*/false);
    EXPECT_EQ(outcome.status, 0) << mode << " " << outcome.errors;
    EXPECT_THAT(outcome.output, HasSubstr("keyferry-launch 0.")) << mode;
  }
}

TEST_F(EmptyRootTest, ItRunsOnAReadOnlyRootAsAnybody) {
  if (geteuid() != 0) GTEST_SKIP() << "only root becomes another user";
  Serve(kSomebody);
  for (const char* mode : {"--exec", "--on-rotate=ignore"}) {
    const Outcome outcome = Run({mode}, kSomebody, /*read_only=*/true);
    EXPECT_EQ(outcome.status, 0) << mode << " " << outcome.errors;
    EXPECT_THAT(outcome.output, HasSubstr("keyferry-launch 0.")) << mode;
  }
  const Outcome other = Run({"--exec"}, kSomebody + 1, /*read_only=*/true);
  EXPECT_EQ(WEXITSTATUS(other.status), 77) << "the socket is not this user's: " << other.errors;
}

}  // namespace
}  // namespace keyferry::injector::launch
