#include "server/certificates/file_watch.h"

#include <sys/stat.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"

namespace keyferry::server {
namespace {

// Differs whenever a file was written, replaced, or has come or gone.
std::string Signature(const std::vector<std::string>& files) {
  std::string signature;
  for (const std::string& file : files) {
    struct stat info = {};
    if (stat(file.c_str(), &info) != 0) {
      absl::StrAppend(&signature, "error ", errno, ";");
      continue;
    }
    absl::StrAppend(&signature, info.st_dev, " ", info.st_ino, " ", info.st_size, " ", info.st_mtim.tv_sec, ".",
                    info.st_mtim.tv_nsec, " ", info.st_ctim.tv_sec, ".", info.st_ctim.tv_nsec, ";");
  }
  return signature;
}

}  // namespace

FileWatch::FileWatch(Logger* logger, absl::Duration interval) : logger_(logger), interval_(interval) {
  if (interval_ > absl::ZeroDuration()) thread_ = std::thread([this] { RunThread(); });
}

FileWatch::~FileWatch() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void FileWatch::Add(const std::string& what, std::vector<std::string> files, Reload reload) {
  absl::MutexLock lock(&mutex_);
  Watched& watched = watched_.emplace_back();
  watched.what = what;
  watched.read = watched.seen = Signature(files);
  watched.files = std::move(files);
  watched.reload = std::move(reload);
}

FileWatch::Watched* FileWatch::Find(absl::string_view what) {
  for (Watched& watched : watched_) {
    if (watched.what == what) return &watched;
  }
  return nullptr;
}

void FileWatch::SetFiles(absl::string_view what, std::vector<std::string> files) {
  absl::MutexLock lock(&mutex_);
  Watched* const watched = Find(what);
  if (watched == nullptr) return;
  watched->read = watched->seen = Signature(files);
  watched->files = std::move(files);
}

FileWatch::Watched* FileWatch::FindOrAdd(absl::string_view what) {
  Watched* const found = Find(what);
  if (found != nullptr) return found;
  Watched& added = watched_.emplace_back();
  added.what = std::string(what);
  return &added;
}

std::vector<std::string> FileWatch::Due() {
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> due;
  for (Watched& watched : watched_) {
    if (watched.reload == nullptr) continue;
    std::string now = Signature(watched.files);
    const bool stands_still = now == watched.seen;
    watched.seen = std::move(now);
    if (stands_still && watched.seen != watched.read) due.push_back(watched.what);
  }
  return due;
}

std::vector<std::string> FileWatch::All() const {
  absl::MutexLock lock(&mutex_);
  std::vector<std::string> all;
  for (const Watched& watched : watched_) {
    if (watched.reload != nullptr) all.push_back(watched.what);
  }
  return all;
}

void FileWatch::Look() {
  absl::MutexLock run(&run_mutex_);
  for (const std::string& what : Due()) Run(what).IgnoreError();
}

absl::Status FileWatch::ReloadAll() {
  absl::MutexLock run(&run_mutex_);
  absl::Status status;
  for (const std::string& what : All()) status.Update(Run(what));
  return status;
}

absl::Status FileWatch::Run(const std::string& what) {
  Reload reload;
  {
    absl::MutexLock lock(&mutex_);
    Watched* const watched = Find(what);
    // Before it is read: what changes meanwhile differs from this.
    watched->read = watched->seen = Signature(watched->files);
    reload = watched->reload;
  }
  const absl::Status status = reload();
  Note(what, status);
  if (status.ok()) {
    logger_->Write(LogLevel::kInfo, "file read again", {{"what", what}});
  } else {
    logger_->Write(LogLevel::kError, "a changed file cannot be used; what was read before stays",
                   {{"what", what}, {"problem", status.message()}});
  }
  return status;
}

void FileWatch::Note(const std::string& what, const absl::Status& status) {
  absl::MutexLock lock(&mutex_);
  Watched* const watched = FindOrAdd(what);
  ++(status.ok() ? watched->succeeded : watched->failed);
  watched->broken = !status.ok();
}

void FileWatch::WriteTo(metrics::Exposition* out) const {
  absl::MutexLock lock(&mutex_);
  out->Counter("keyferry_reloads_total", "Reloads of files and of the configuration while the server runs, by result.");
  for (const Watched& watched : watched_) {
    out->Sample(watched.succeeded, {{"what", watched.what}, {"result", "ok"}});
    out->Sample(watched.failed, {{"what", watched.what}, {"result", "failed"}});
  }
  out->Gauge("keyferry_reload_failed",
             "1 while the newest state of what is reloaded cannot be used, and an older one is.");
  for (const Watched& watched : watched_) out->Sample(watched.broken ? 1.0 : 0.0, {{"what", watched.what}});
}

void FileWatch::RunThread() {
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), interval_)) return;
    }
    Look();
  }
}

}  // namespace keyferry::server
