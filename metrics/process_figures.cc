#include "metrics/process_figures.h"

#include <dirent.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace keyferry::metrics {
namespace {

std::string ReadAll(const char* path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// The fields of /proc/self/stat after the program's name, which may hold anything; proc(5) counts the first as 3.
std::vector<std::string> StatFields() {
  const std::string stat = ReadAll("/proc/self/stat");
  const size_t end = stat.rfind(") ");
  if (end == std::string::npos) return {};
  return absl::StrSplit(stat.substr(end + 2), ' ');
}

double Field(const std::vector<std::string>& fields, size_t number) {
  double value = 0;
  return number - 3 < fields.size() && absl::SimpleAtod(fields[number - 3], &value) ? value : 0;
}

double OpenDescriptors() {
  DIR* const directory = opendir("/proc/self/fd");
  if (directory == nullptr) return 0;
  double count = 0;
  while (const dirent* const entry = readdir(directory)) count += entry->d_name[0] != '.' ? 1 : 0;
  closedir(directory);
  // Without the one that the directory was read through.
  return count - 1;
}

double BootTime() {
  for (const absl::string_view line : absl::StrSplit(ReadAll("/proc/stat"), '\n')) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    double seconds = 0;
    if (words.size() == 2 && words[0] == "btime" && absl::SimpleAtod(words[1], &seconds)) return seconds;
  }
  return 0;
}

}  // namespace

void WriteProcessFigures(absl::string_view version, Exposition* out) {
  const std::vector<std::string> fields = StatFields();
  const auto ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  out->Gauge("keyferry_build_info", "Always 1; the labels describe the build.");
  out->Sample(uint64_t{1}, {{"version", version}});
  out->Counter("process_cpu_seconds_total", "CPU time of user and system.");
  out->Sample((Field(fields, 14) + Field(fields, 15)) / ticks);
  out->Gauge("process_start_time_seconds", "When the process started, since the epoch.",
             BootTime() + Field(fields, 22) / ticks);
  out->Gauge("process_virtual_memory_bytes", "Virtual memory.", Field(fields, 23));
  out->Gauge("process_resident_memory_bytes", "Resident memory.",
             Field(fields, 24) * static_cast<double>(sysconf(_SC_PAGESIZE)));
  out->Gauge("process_threads", "Threads.", Field(fields, 20));
  out->Gauge("process_open_fds", "Open file descriptors.", OpenDescriptors());
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  out->Gauge("process_max_fds", "Most file descriptors that may be open.", static_cast<double>(limit.rlim_cur));
}

}  // namespace keyferry::metrics
