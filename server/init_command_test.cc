// `keyferryd init`, above all where it is repeated at every start.
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "server/dev/certificates.h"
#include "server/records.h"
#include "storage/crypto/key_provider.h"
#include "storage/open.h"
#include "storage/records/records.pb.h"
#include "storage/testing_store.h"

namespace keyferry::server {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;
};

class InitCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    directory_ = storage::MakeTestDirectory();
    ASSERT_TRUE(EnsureDevCertificates(directory_, absl::Now()).ok());
    token_ = directory_ + "/token";
    std::ofstream(directory_ + "/keyferryd.yaml")
        << absl::StrCat("listen: 127.0.0.1:0\ndata_dir: ", directory_, "/data\ntls:\n  cert_file: ", directory_,
                        "/server.pem\n  key_file: ", directory_, "/server.key\nkey_provider:\n  file: ", directory_,
                        "/kek\nbackup:\n  directory: ", directory_, "/backups\n");
  }

  Outcome Run(const std::string& command, const std::string& arguments = "") {
    const std::string out = directory_ + "/out";
    const std::string err = directory_ + "/err";
    const int status = std::system(absl::StrCat("server/keyferryd ", command, " --config ", directory_,
                                                "/keyferryd.yaml ", arguments, " > ", out, " 2> ", err, " < /dev/null")
                                       .c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, ReadAll(out), ReadAll(err)};
  }

  Outcome InitOnce(const std::string& more = "") {
    return Run("init", absl::StrCat("--org acme --admin root --once --token-file ", token_, " ", more));
  }

  // Of the tokens of the first ADMIN.
  std::multiset<absl::Duration> TokenLifetimes() {
    const auto kek = storage::LoadFileKeyProvider(directory_ + "/kek");
    storage::OpenOptions options;
    options.data_dir = directory_ + "/data";
    const auto store = storage::OpenStore(options, **kek);
    const auto tokens =
        ScanRecords<storage::records::TokenRecord>(*(*store)->View(), storage::Table::kToken, "acme", "users/root");
    std::multiset<absl::Duration> lifetimes;
    for (const auto& token : *tokens) {
      // The record is written a moment after its end was counted.
      lifetimes.insert(
          absl::Ceil(absl::Nanoseconds(token.record.expire_time() - token.record.create_time()), absl::Hours(1)));
    }
    return lifetimes;
  }

  std::string directory_;
  std::string token_;
};

TEST_F(InitCommandTest, OnceLeavesAStoreThatHasAnOrganizationAsItIs) {
  ASSERT_EQ(InitOnce().code, 0);
  EXPECT_EQ(ReadAll(token_).size(), 54u);
  // Its token was on a volume that is gone.
  ASSERT_EQ(unlink(token_.c_str()), 0);
  for (const char* more : {"", "--new-token=false"}) {
    const Outcome again = InitOnce(more);
    EXPECT_EQ(again.code, 0) << again.err;
    EXPECT_EQ(again.out, "");
    EXPECT_TRUE(absl::StrContains(again.err, "nothing was done")) << again.err;
    EXPECT_FALSE(Exists(token_));
  }
  EXPECT_EQ(TokenLifetimes().size(), 1u);
}

TEST_F(InitCommandTest, AnotherOrganizationIsOne) {
  ASSERT_EQ(Run("init", "--org other --admin root").code, 0);
  ASSERT_EQ(InitOnce().code, 0);
  EXPECT_FALSE(Exists(token_));
}

TEST_F(InitCommandTest, NewTokenIsTheWayBackIn) {
  ASSERT_EQ(InitOnce().code, 0);
  const std::string first = ReadAll(token_);
  ASSERT_EQ(unlink(token_.c_str()), 0);
  const Outcome again = InitOnce("--new-token=true --token-lifetime 3h");
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(ReadAll(token_).size(), 54u);
  EXPECT_NE(ReadAll(token_), first);
}

TEST_F(InitCommandTest, TheTokenLivesAsLongAsAsked) {
  ASSERT_EQ(InitOnce("--token-lifetime 12h").code, 0);
  EXPECT_EQ(TokenLifetimes(), (std::multiset<absl::Duration>{absl::Hours(12)}));
  ASSERT_EQ(Run("init", "--org acme --admin root").code, 0);
  EXPECT_EQ(TokenLifetimes(), (std::multiset<absl::Duration>{absl::Hours(12), absl::Hours(8760)}));
}

TEST_F(InitCommandTest, WrongOptionsMakeNothing) {
  for (const char* more : {"--token-lifetime 59s", "--token-lifetime 8761h", "--token-lifetime inf",
                           "--token-lifetime soon", "--token-lifetime -1h", "--new-token=perhaps"}) {
    const Outcome refused = InitOnce(more);
    EXPECT_EQ(refused.code, 2) << more;
    EXPECT_FALSE(Exists(directory_ + "/data")) << more;
  }
  EXPECT_EQ(Run("init", "--org acme --admin root --new-token").code, 2);
  EXPECT_EQ(Run("init", "--org acme --admin root --once").code, 2);
}

TEST_F(InitCommandTest, OnceMakesNoStoreInPlaceOfOneThatIsLost) {
  ASSERT_EQ(InitOnce().code, 0);
  const Outcome backup = Run("backup");
  ASSERT_EQ(backup.code, 0) << backup.err;
  const std::string path = backup.out.substr(0, backup.out.find('\n'));
  EXPECT_EQ(InitOnce().code, 0) << "a store that is there";

  const std::string data = directory_ + "/data";
  ASSERT_EQ(rename(data.c_str(), (data + ".lost").c_str()), 0);
  ASSERT_EQ(rename((directory_ + "/kek").c_str(), (directory_ + "/kek.kept").c_str()), 0);
  for (const char* what : {"no directory", "an empty one", "one that holds something else"}) {
    const Outcome refused = InitOnce();
    EXPECT_EQ(refused.code, 1) << what;
    for (const std::string& word : {data, path, std::string("restore")}) {
      EXPECT_TRUE(absl::StrContains(refused.err, word)) << what << ": " << refused.err;
    }
    if (!Exists(data)) {
      EXPECT_FALSE(Exists(directory_ + "/kek")) << "nothing is changed";
      ASSERT_EQ(mkdir(data.c_str(), 0700), 0);
    } else {
      EXPECT_FALSE(Exists(data + "/db")) << what;
      if (!Exists(directory_ + "/kek")) {
        ASSERT_EQ(rename((directory_ + "/kek.kept").c_str(), (directory_ + "/kek").c_str()), 0);
      }
      std::ofstream(data + "/note") << "x";
    }
  }
  // As it says: restored, or the backups moved away.
  ASSERT_EQ(unlink((data + "/note").c_str()), 0);
  ASSERT_EQ(Run("restore", absl::StrCat("--from ", path, " --to ", data, ".restored --tokens revoke")).code, 0);
  EXPECT_EQ(InitOnce(absl::StrCat("--data-dir ", data, ".restored")).code, 0);
  ASSERT_EQ(rename((directory_ + "/backups").c_str(), (directory_ + "/away").c_str()), 0);
  const Outcome anew = InitOnce();
  EXPECT_EQ(anew.code, 0) << anew.err;
}

TEST_F(InitCommandTest, OnceMakesNoStoreWhereBackupsCannotBeLookedFor) {
  std::ofstream(directory_ + "/backups") << "a file";
  EXPECT_EQ(InitOnce().code, 1);
  EXPECT_FALSE(Exists(directory_ + "/data"));
}

TEST_F(InitCommandTest, OthersMayMakeAFurtherStoreBesideBackups) {
  ASSERT_EQ(InitOnce().code, 0);
  ASSERT_EQ(Run("backup").code, 0);
  EXPECT_EQ(Run("init", absl::StrCat("--org acme --admin root --data-dir ", directory_, "/data2")).code, 0);
}

}  // namespace
}  // namespace keyferry::server
