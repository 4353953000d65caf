#include "storage/crypto/key_provider.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>

#include "gtest/gtest.h"
#include "storage/crypto/testing_key_provider.h"

namespace keyferry::storage {
namespace {

std::string TempPath(const std::string& name) {
  std::string folder = std::string(std::getenv("TEST_TMPDIR")) + "/kek.XXXXXX";
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  return folder + "/" + name;
}

void WriteFile(const std::string& path, const std::string& content, mode_t mode = 0600) {
  std::ofstream(path) << content;
  ASSERT_EQ(chmod(path.c_str(), mode), 0);
}

SecretBytes RootKey() { return SecretBytes::CopyOf(std::string(32, 'r')); }

void ExpectRoundTripAndSweep(const KeyProvider& provider, bool every_bit) {
  auto wrapped = provider.Wrap(RootKey(), "bound");
  ASSERT_TRUE(wrapped.ok()) << wrapped.status();
  EXPECT_EQ(wrapped->find(std::string(32, 'r')), std::string::npos);
  auto root_key = provider.Unwrap(*wrapped, "bound");
  ASSERT_TRUE(root_key.ok()) << root_key.status();
  EXPECT_EQ(root_key->Expose(), std::string(32, 'r'));
  EXPECT_EQ(provider.Unwrap(*wrapped, "other").status().code(), absl::StatusCode::kPermissionDenied);
  const size_t step = every_bit ? 1 : 97;
  for (size_t bit = 0; bit < wrapped->size() * 8; bit += step) {
    std::string changed = *wrapped;
    changed[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    ASSERT_EQ(provider.Unwrap(changed, "bound").status().code(), absl::StatusCode::kPermissionDenied) << "bit " << bit;
  }
  for (size_t size = 0; size < wrapped->size(); size += step) {
    ASSERT_EQ(provider.Unwrap(wrapped->substr(0, size), "bound").status().code(), absl::StatusCode::kPermissionDenied);
  }
}

TEST(FileKeyProviderTest, CreatedFileWrapsAndUnwraps) {
  const std::string path = TempPath("kek");
  ASSERT_TRUE(CreateKekFile(path).ok());
  struct stat info;
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600);
  auto provider = LoadFileKeyProvider(path);
  ASSERT_TRUE(provider.ok()) << provider.status();
  ExpectRoundTripAndSweep(**provider, /*every_bit=*/true);
  EXPECT_EQ((*provider)->Description(), "file " + path);
  EXPECT_EQ(CreateKekFile(path).code(), absl::StatusCode::kAlreadyExists);
}

TEST(FileKeyProviderTest, AnotherFileDoesNotUnwrap) {
  const std::string a = TempPath("a"), b = TempPath("b");
  ASSERT_TRUE(CreateKekFile(a).ok());
  ASSERT_TRUE(CreateKekFile(b).ok());
  auto wrapped = (*LoadFileKeyProvider(a))->Wrap(RootKey(), "");
  EXPECT_EQ((*LoadFileKeyProvider(b))->Unwrap(*wrapped, "").status().code(), absl::StatusCode::kPermissionDenied);
}

TEST(FileKeyProviderTest, BadFilesAreRefusedWithoutShowingThem) {
  const std::string kek = "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2U=";
  struct Case {
    const char* name;
    std::string content;
    mode_t mode;
    absl::StatusCode code;
  };
  const Case cases[] = {
      {"good", kek + "\n", 0600, absl::StatusCode::kOk},
      {"good without newline, read-only", kek, 0400, absl::StatusCode::kOk},
      {"readable by group", kek, 0640, absl::StatusCode::kFailedPrecondition},
      {"readable by others", kek, 0604, absl::StatusCode::kFailedPrecondition},
      {"empty", "", 0600, absl::StatusCode::kInvalidArgument},
      {"too short", kek.substr(4), 0600, absl::StatusCode::kInvalidArgument},
      {"too long", kek + kek, 0600, absl::StatusCode::kInvalidArgument},
      {"two lines", kek + "\n\n", 0600, absl::StatusCode::kInvalidArgument},
      {"not base64", "!" + kek.substr(1), 0600, absl::StatusCode::kInvalidArgument},
      {"31 bytes", kek.substr(0, 42) + "==", 0600, absl::StatusCode::kInvalidArgument},
  };
  for (const Case& test : cases) {
    const std::string path = TempPath("kek");
    WriteFile(path, test.content, test.mode);
    const absl::Status status = LoadFileKeyProvider(path).status();
    EXPECT_EQ(status.code(), test.code) << test.name << ": " << status;
    EXPECT_EQ(status.message().find("c2Vj"), absl::string_view::npos) << test.name;
    EXPECT_TRUE(status.ok() || status.message().find(path) != absl::string_view::npos) << test.name;
  }
  EXPECT_EQ(LoadFileKeyProvider(TempPath("none")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(LoadFileKeyProvider("/dev/null").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(PassphraseKeyProviderTest, WrapsUnderAFreshSaltAndUnwraps) {
  auto provider = MakePassphraseKeyProvider(SecretBytes::CopyOf("correct horse battery"));
  ASSERT_TRUE(provider.ok());
  // Each try costs 128 MiB and a part of a second, so the sweep is a sample; the form is swept in full above.
  ExpectRoundTripAndSweep(**provider, /*every_bit=*/false);
  EXPECT_NE(*(*provider)->Wrap(RootKey(), ""), *(*provider)->Wrap(RootKey(), ""));
  auto other = MakePassphraseKeyProvider(SecretBytes::CopyOf("correct horse batterx"));
  EXPECT_EQ((*other)->Unwrap(*(*provider)->Wrap(RootKey(), ""), "").status().code(),
            absl::StatusCode::kPermissionDenied);
}

TEST(PassphraseKeyProviderTest, ShortPassphraseAndCostlyParametersAreRefused) {
  EXPECT_EQ(MakePassphraseKeyProvider(SecretBytes::CopyOf("elevenbytes")).status().code(),
            absl::StatusCode::kInvalidArgument);
  auto provider = MakePassphraseKeyProvider(SecretBytes::CopyOf("twelve bytes"));
  std::string wrapped = *(*provider)->Wrap(RootKey(), "");
  ASSERT_EQ(wrapped[7], 17);
  for (const char cost : {0, 1, 14, 21, 40, 127}) {
    wrapped[7] = cost;
    const absl::Status status = (*provider)->Unwrap(wrapped, "").status();
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
    EXPECT_NE(status.message().find("cost"), absl::string_view::npos) << status;
  }
}

TEST(KeyProviderTest, KindsDoNotUnwrapEachOther) {
  const std::string path = TempPath("kek");
  ASSERT_TRUE(CreateKekFile(path).ok());
  const std::string wrapped = *FakeKeyProvider(1).Wrap(RootKey(), "");
  const absl::Status status = (*LoadFileKeyProvider(path))->Unwrap(wrapped, "").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_NE(status.message().find("not by a KEK file"), absl::string_view::npos) << status;
}

}  // namespace
}  // namespace keyferry::storage
