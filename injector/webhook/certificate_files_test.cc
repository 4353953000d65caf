#include "injector/webhook/certificate_files.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::injector::webhook {
namespace {

class CertificateFilesTest : public testing::Test {
 protected:
  CertificateFilesTest() {
    Write("crt", "certificate 1");
    Write("key", "key 1");
    Write("ca", "ca 1");
  }

  void Write(const std::string& name, const std::string& text, mode_t mode = 0600) {
    std::ofstream(Path(name)) << text;
    chmod(Path(name).c_str(), mode);
  }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  absl::StatusOr<bool> Reload(const absl::Status& answer = absl::OkStatus()) {
    return files_.Reload([&](const TlsIdentity& identity) {
      used_ = identity.certificate + ", " + std::string(identity.key.Expose()) + ", " + identity.client_ca;
      return answer;
    });
  }

  static std::string MakeFolder() {
    std::string pattern = testing::TempDir() + "/certificatesXXXXXX";
    return mkdtemp(pattern.data());
  }

  const std::string folder_ = MakeFolder();
  CertificateFiles files_{{Path("crt"), Path("key"), Path("ca")}};
  std::string used_;
};

TEST_F(CertificateFilesTest, HandsOutWhatChanged) {
  ASSERT_TRUE(files_.Read().ok());
  EXPECT_EQ(Reload().value(), false);
  for (const char* const name : {"crt", "key", "ca"}) {
    Write(name, "next");
    EXPECT_EQ(Reload().value(), true) << name;
    EXPECT_EQ(Reload().value(), false) << name;
  }
  EXPECT_EQ(used_, "next, next, next");
}

TEST_F(CertificateFilesTest, TriesAgainWhatWasRefusedAndComplainsOnce) {
  ASSERT_TRUE(files_.Read().ok());
  Write("crt", "certificate 2");
  EXPECT_EQ(Reload(absl::InvalidArgumentError("no pair")).status().message(), "no pair");
  EXPECT_EQ(Reload(absl::InvalidArgumentError("no pair")).value(), false);
  Write("key", "key 2");
  EXPECT_EQ(Reload().value(), true);
  EXPECT_EQ(used_, "certificate 2, key 2, ca 1");
}

TEST_F(CertificateFilesTest, RefusesAKeyThatOthersCanRead) {
  Write("key", "key 1", 0644);
  EXPECT_FALSE(files_.Read().ok());
  Write("key", "key 1", 0640);
  EXPECT_TRUE(files_.Read().ok());
}

// Else an emptied file would let everybody in.
TEST_F(CertificateFilesTest, AnEmptyClientCaIsNoneThatIsMissing) {
  Write("ca", "");
  EXPECT_NE(files_.Read()->client_ca, "");
}

TEST_F(CertificateFilesTest, AFileThatIsGoneChangesNothing) {
  ASSERT_TRUE(files_.Read().ok());
  ASSERT_EQ(unlink(Path("crt").c_str()), 0);
  EXPECT_FALSE(Reload().ok());
  EXPECT_EQ(used_, "");
}

}  // namespace
}  // namespace keyferry::injector::webhook
