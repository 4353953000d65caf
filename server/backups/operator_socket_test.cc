#include "server/backups/operator_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "storage/testing_store.h"

namespace keyferry::server {
namespace {

constexpr int kPatienceSeconds = 30;

// One connection of the operator's.
class Client {
 public:
  explicit Client(const std::string& directory) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience = {kPatienceSeconds, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    // The directory's own path may be longer than an address can be.
    const int at = open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    absl::StrCat("/proc/self/fd/", at, "/", kOperatorSocketName).copy(address.sun_path, sizeof(address.sun_path) - 1);
    EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    close(at);
  }
  ~Client() { close(fd_); }

  void Send(const std::string& line) {
    const std::string bytes = line + "\n";
    EXPECT_EQ(send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL), static_cast<ssize_t>(bytes.size()));
  }
  // All that is answered; "" after a while without an answer.
  std::string Answer() {
    std::string answer;
    char buffer[256];
    for (ssize_t got = 0; (got = read(fd_, buffer, sizeof(buffer))) > 0;) {
      answer.append(buffer, static_cast<size_t>(got));
    }
    return answer;
  }

 private:
  const int fd_;
};

class OperatorSocketTest : public testing::Test {
 protected:
  void Listen(OperatorSocket::Handler handler) {
    auto listening = OperatorSocket::Listen(directory_, std::move(handler));
    ASSERT_TRUE(listening.ok()) << listening.status();
    socket_ = *std::move(listening);
  }

  const std::string directory_ = storage::MakeTestDirectory();
  std::unique_ptr<OperatorSocket> socket_;
};

TEST_F(OperatorSocketTest, ALongRequestHoldsNobodyUp) {
  absl::Notification go_on;
  absl::BlockingCounter begun(3);
  Listen([&](const std::string& request, const OperatorSocket::Send& send) {
    if (request == "long") {
      begun.DecrementCount();
      go_on.WaitForNotification();
    }
    send(absl::StrCat("answer to ", request));
  });
  std::vector<std::unique_ptr<Client>> waiting;
  for (int i = 0; i < 3; ++i) {
    waiting.push_back(std::make_unique<Client>(directory_));
    waiting.back()->Send("long");
  }
  begun.Wait();
  for (int i = 0; i < 10; ++i) {
    Client client(directory_);
    client.Send("short");
    EXPECT_EQ(client.Answer(), "answer to short\n");
  }
  go_on.Notify();
  for (const auto& client : waiting) EXPECT_EQ(client->Answer(), "answer to long\n");
}

TEST_F(OperatorSocketTest, MoreThanAreServedAtOnceWait) {
  Listen([](const std::string& request, const OperatorSocket::Send& send) { send(request); });
  std::vector<std::unique_ptr<Client>> clients;
  // The first ones say nothing yet.
  for (int i = 0; i < 6; ++i) clients.push_back(std::make_unique<Client>(directory_));
  for (size_t i = clients.size(); i-- > 0;) clients[i]->Send(absl::StrCat(i));
  for (size_t i = 0; i < clients.size(); ++i) EXPECT_EQ(clients[i]->Answer(), absl::StrCat(i, "\n"));
}

TEST_F(OperatorSocketTest, EndsOnceAllAreAnswered) {
  absl::Notification entered;
  bool left = false;
  Listen([&](const std::string&, const OperatorSocket::Send& send) {
    entered.Notify();
    send("done");
    left = true;
  });
  Client client(directory_);
  client.Send("x");
  entered.WaitForNotification();
  socket_.reset();
  EXPECT_TRUE(left);
  EXPECT_EQ(client.Answer(), "done\n");
}

}  // namespace
}  // namespace keyferry::server
