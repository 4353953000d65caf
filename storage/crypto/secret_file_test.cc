#include "storage/crypto/secret_file.h"

#include "gtest/gtest.h"

namespace keyferry::storage {
namespace {

constexpr uid_t kUser = 65532;

struct Case {
  const char* name;
  uid_t owner;
  mode_t mode;
  uid_t user;
  bool allowed;
};

TEST(SecretFileTest, OnlyTheUserAndAGroupThatRootGaveItToMayRead) {
  const Case cases[] = {
      {"own", kUser, 0600, kUser, true},
      {"own, read-only", kUser, 0400, kUser, true},
      {"own, group reads", kUser, 0440, kUser, false},
      {"own, others read", kUser, 0404, kUser, false},
      {"root's, group reads, as of a Secret with fsGroup", 0, 0440, kUser, true},
      {"root's, root writes, group reads", 0, 0640, kUser, true},
      {"root's, nobody else", 0, 0400, kUser, true},
      {"root's, group writes", 0, 0660, kUser, false},
      {"root's, group runs", 0, 0450, kUser, false},
      {"root's, others read", 0, 0444, kUser, false},
      {"root's, others write", 0, 0442, kUser, false},
      {"another user's", 1000, 0440, kUser, false},
      {"another user's, nobody else", 1000, 0400, kUser, false},
      {"root reads its own", 0, 0600, 0, true},
      {"root reads its own, which a group reads", 0, 0440, 0, false},
      {"root reads another user's", kUser, 0600, 0, false},
  };
  for (const Case& test : cases) {
    struct stat info = {};
    info.st_uid = test.owner;
    info.st_mode = S_IFREG | test.mode;
    const absl::Status status = CheckSecretFile(info, test.user, "KEK file", "/etc/keyferry/kek");
    EXPECT_EQ(status.ok(), test.allowed) << test.name << ": " << status;
    if (test.allowed) continue;
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << test.name;
    EXPECT_NE(status.message().find("KEK file /etc/keyferry/kek"), absl::string_view::npos) << test.name;
  }
}

}  // namespace
}  // namespace keyferry::storage
