#include "storage/crypto/secret_bytes.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include <string>
#include <type_traits>
#include <utility>

#include "gtest/gtest.h"

namespace keyferry::storage {
namespace {

static_assert(!std::is_copy_constructible<SecretBytes>::value, "a secret is never copied implicitly");
static_assert(!std::is_copy_assignable<SecretBytes>::value, "a secret is never copied implicitly");

template <typename T, typename = void>
struct IsPrintable : std::false_type {};
template <typename T>
struct IsPrintable<T, std::void_t<decltype(std::declval<std::ostream&>() << std::declval<const T&>())>>
    : std::true_type {};
static_assert(!IsPrintable<SecretBytes>::value, "a secret is not printable");

TEST(SecretBytesTest, TakeFromWipesTheWholeCapacityOfTheSource) {
  std::string text(100, 's');
  text.resize(3);
  const char* memory = text.data();
  const SecretBytes secret = SecretBytes::TakeFrom(text);
  EXPECT_EQ(secret.Expose(), "sss");
  EXPECT_TRUE(text.empty());
  for (int i = 1; i < 100; ++i) ASSERT_EQ(memory[i], '\0') << i;
}

TEST(SecretBytesTest, TruncateWipesWhatItCutsOff) {
  SecretBytes secret = SecretBytes::CopyOf("0123456789");
  const uint8_t* memory = secret.ExposeMutable().data();
  secret.Truncate(4);
  EXPECT_EQ(secret.Expose(), "0123");
  for (int i = 4; i < 10; ++i) EXPECT_EQ(memory[i], 0) << i;
}

TEST(SecretBytesTest, MovedFromIsEmpty) {
  SecretBytes a = SecretBytes::CopyOf("x");
  SecretBytes b = std::move(a);
  EXPECT_TRUE(a.empty());
  EXPECT_EQ(b.Expose(), "x");
  a = std::move(b);
  EXPECT_EQ(a.Expose(), "x");
  EXPECT_EQ(a.Clone().Expose(), "x");
}

TEST(SecretBytesTest, ComparisonIsByContent) {
  EXPECT_TRUE(ConstantTimeEquals("", ""));
  EXPECT_TRUE(ConstantTimeEquals("abc", "abc"));
  EXPECT_FALSE(ConstantTimeEquals("abc", "abd"));
  EXPECT_FALSE(ConstantTimeEquals("abc", "ab"));
}

TEST(SecretBytesTest, RandomStringsDiffer) {
  EXPECT_EQ(RandomString(16).size(), 16);
  EXPECT_NE(RandomString(16), RandomString(16));
}

TEST(SecretBytesTest, HardenedProcessDumpsNoCore) {
  HardenProcess();
  EXPECT_EQ(prctl(PR_GET_DUMPABLE), 0);
  rlimit limit;
  ASSERT_EQ(getrlimit(RLIMIT_CORE, &limit), 0);
  EXPECT_EQ(limit.rlim_max, 0);
}

}  // namespace
}  // namespace keyferry::storage
