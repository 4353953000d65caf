#include "injector/launch/copy_self.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "injector/exec/launch_failure.h"
#include "injector/supervise/descriptor.h"

namespace keyferry::injector::launch {
namespace {

constexpr char kName[] = "keyferry-launch";
constexpr size_t kAtOnce = size_t{1} << 20;

Failure Failed(const std::string& what, const std::string& directory) {
  return {kUsage, Printable(absl::StrCat(what, ": ", directory, ": ", strerror(errno)))};
}

bool Copy(int from, int to) {
  while (true) {
    const ssize_t size = sendfile(to, from, nullptr, kAtOnce);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return size == 0;
  }
}

}  // namespace

Failure CopySelfTo(const std::string& directory) {
  const Descriptor self(open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  if (!self.valid()) return Failed("this program cannot be read", "/proc/self/exe");
  const Descriptor folder(open(directory.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder.valid()) return Failed("the directory cannot be opened", directory);
  const std::string temporary = absl::StrCat(".", kName, ".", getpid());
  unlinkat(folder.get(), temporary.c_str(), 0);
  const Descriptor copy(openat(folder.get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700));
  if (!copy.valid()) return Failed("nothing can be written there", directory);
  const bool written = Copy(self.get(), copy.get()) && fchmod(copy.get(), 0555) == 0 && fsync(copy.get()) == 0 &&
                       renameat(folder.get(), temporary.c_str(), folder.get(), kName) == 0;
  if (written) return {0, ""};
  const Failure failure = Failed("the program cannot be installed", directory);
  unlinkat(folder.get(), temporary.c_str(), 0);
  return failure;
}

}  // namespace keyferry::injector::launch
