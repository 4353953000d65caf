#include "server/backups/running_backups.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "keyferry/v1/audit.pb.h"
#include "server/backups/operator_requests.h"
#include "storage/crypto/testing_key_provider.h"
#include "storage/journal.h"
#include "storage/open.h"
#include "storage/testing_store.h"

namespace keyferry::server {
namespace {

using nlohmann::json;

class RunningBackupsTest : public testing::Test {
 protected:
  RunningBackupsTest() {
    storage::OpenOptions options;
    options.data_dir = data_dir_;
    options.create = true;
    options.memory_budget = size_t{16} << 20;
    opened_ = *storage::OpenStoreWithBackups(options, kek_);
    config_.set_directory(root_ + "/backups");
    config_.set_keep(2);
  }

  void Start() {
    auto running =
        RunningBackups::Start(config_, data_dir_, opened_.store.get(), opened_.backups, absl::Now, logger_.get());
    ASSERT_TRUE(running.ok()) << running.status();
    running_ = *std::move(running);
  }

  // What the socket answers to these bytes, up to the end.
  std::string Send(const std::string& bytes) {
    const std::string link = absl::StrCat("/tmp/keyferry-test-", getpid());
    std::filesystem::remove(link);
    std::filesystem::create_directory_symlink(data_dir_, link);
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    absl::StrCat(link, "/", kOperatorSocketName).copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    std::filesystem::remove(link);
    EXPECT_EQ(send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
    shutdown(fd, SHUT_WR);
    std::string answer;
    char buffer[4096];
    for (ssize_t got = 0; (got = read(fd, buffer, sizeof(buffer))) > 0;) answer.append(buffer, got);
    close(fd);
    return answer;
  }
  // The last line of the answer.
  json Ask(const json& request) {
    std::string answer = Send(request.dump() + "\n");
    if (!answer.empty()) answer.pop_back();
    return json::parse(answer.substr(answer.rfind('\n') + 1), nullptr, /*allow_exceptions=*/false);
  }
  // The methods and codes in the system's audit log.
  std::vector<std::string> Audited() {
    std::vector<std::string> lines;
    const auto view = opened_.store->View();
    EXPECT_TRUE(storage::VerifyJournal(*view, "", [&lines](const storage::JournalEntry& entry) {
                  v1::AuditEntry parsed;
                  EXPECT_TRUE(parsed.ParseFromString(entry.payload));
                  lines.push_back(absl::StrCat(parsed.method(), " ", parsed.resource(), " ", parsed.code()));
                }).ok());
    return lines;
  }

  const storage::FakeKeyProvider kek_{1};
  const std::string root_ = storage::MakeTestDirectory();
  const std::string data_dir_ = root_ + "/data";
  storage::OpenedStore opened_;
  config::Backup config_;
  const std::unique_ptr<Logger> logger_ = MakeSilentLogger();
  std::unique_ptr<RunningBackups> running_;
};

TEST_F(RunningBackupsTest, MakesListsAndVerifies) {
  Start();
  const json made = Ask({{"command", "backup.create"}});
  ASSERT_TRUE(made.contains("result")) << made;
  const std::string path = made["result"]["path"];
  EXPECT_TRUE(absl::StartsWith(path, root_ + "/backups/")) << path;
  EXPECT_GT(made["result"]["entries"], 1);
  EXPECT_EQ(Ask({{"command", "backup.verify"}, {"path", path}})["result"]["backup"], made["result"]["backup"]);
  EXPECT_EQ(Ask({{"command", "backup.list"}})["result"]["backups"][0]["path"], path);
  EXPECT_EQ(Ask({{"command", "backup.status"}})["result"]["lastSuccessTime"], made["result"]["time"]);
}

TEST_F(RunningBackupsTest, WritesEachInTheAuditLog) {
  Start();
  const std::string id = Ask({{"command", "backup.create"}})["result"]["backup"];
  const json failed = Ask({{"command", "backup.create"}, {"directory", data_dir_ + "/b"}});
  EXPECT_EQ(failed["error"]["code"], "FAILED_PRECONDITION") << failed;
  EXPECT_EQ(Audited(), (std::vector<std::string>{absl::StrCat("keyferryd/Backup backups/", id, " 0"),
                                                 "keyferryd/Backup backups 9"}));
  EXPECT_TRUE(Ask({{"command", "backup.status"}})["result"].contains("lastFailure"));
}

TEST_F(RunningBackupsTest, TheSocketIsTheOwnersAndTakesTheOldOnesPlace) {
  Start();
  struct stat info = {};
  const std::string path = absl::StrCat(data_dir_, "/", kOperatorSocketName);
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  running_.reset();
  EXPECT_NE(stat(path.c_str(), &info), 0) << "left behind";
  // As a crash leaves one.
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  Start();
  EXPECT_TRUE(Ask({{"command", "backup.status"}}).contains("result"));
}

TEST_F(RunningBackupsTest, BadRequestsChangeNothingAndAreAnsweredInWords) {
  Start();
  for (const std::string bytes :
       {"\n", "x\n", "[]\n", "{}\n", "{\"command\": 7}\n", "{\"command\": \"backup.delete\"}\n",
        "{\"command\": \"backup.create\", \"directory\": []}\n", "{\"command\": \"backup.verify\"}\n",
        "{\"command\": \"backup.create\", \"directory\": \"relative\"}\n"}) {
    const json answer = json::parse(Send(bytes), nullptr, /*allow_exceptions=*/false);
    ASSERT_TRUE(answer.is_object() && answer.contains("error")) << bytes;
    EXPECT_EQ(answer["error"]["code"], "INVALID_ARGUMENT") << bytes;
    EXPECT_NE(answer["error"]["message"], "") << bytes;
  }
  EXPECT_EQ(Send("no newline"), "");
  EXPECT_EQ(Send(std::string(40000, 'x')), "");
  EXPECT_FALSE(std::filesystem::exists(root_ + "/backups"));
  EXPECT_TRUE(Ask({{"command", "backup.status"}}).contains("result")) << "it goes on";
}

TEST_F(RunningBackupsTest, TheScheduleMakesAndPrunes) {
  config_.set_every_hours(1);
  Start();
  // The first one is due at once.
  while (!Ask({{"command", "backup.status"}})["result"].contains("lastSuccessTime")) {
  }
  EXPECT_EQ(Ask({{"command", "backup.list"}})["result"]["backups"].size(), 1u);
  running_.reset();
  Backups backups(opened_.store.get(), opened_.backups, BackupSettingsOf(config_, data_dir_), absl::Now, logger_.get());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(backups.CreateScheduled().ok());
  EXPECT_EQ(backups.List("")->size(), 2u);
  const std::string path = backups.List("")->front().path;
  EXPECT_TRUE(backups.Verify(path).ok());
  backups.Stop();
  EXPECT_EQ(backups.Verify(path).status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(backups.Create("", nullptr).status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(backups.List("")->size(), 2u);
}

}  // namespace
}  // namespace keyferry::server
