#include "tests/monitoring/running_webhook.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <fstream>
#include <optional>
#include <regex>

#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace keyferry::testing {
namespace {

void Write(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
  EXPECT_EQ(chmod(path.c_str(), 0600), 0) << path;
}

}  // namespace

std::unique_ptr<RunningWebhook> RunningWebhook::Start(const std::string& directory) {
  std::unique_ptr<RunningWebhook> webhook(new RunningWebhook(directory));
  webhook->WriteCertificate(absl::Hours(1));
  webhook->process_ = ChildProcess::Start(
      {getenv("KEYFERRY_INJECTOR"), "webhook", "--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0",
       "--tls-cert=" + directory + "/tls.crt", "--tls-key=" + directory + "/tls.key"},
      directory + "/log");
  const std::optional<std::string> line = webhook->process_->ReadLine(absl::Now() + absl::Minutes(1));
  std::smatch ports;
  const std::regex ready("webhook ready address=127\\.0\\.0\\.1:(\\d+) metrics=127\\.0\\.0\\.1:(\\d+)");
  if (!line.has_value() || !std::regex_match(*line, ports, ready)) {
    ADD_FAILURE() << "the webhook is not ready: " << line.value_or("");
    return nullptr;
  }
  webhook->port_ = static_cast<uint16_t>(std::stoi(ports[1]));
  webhook->metrics_port_ = static_cast<uint16_t>(std::stoi(ports[2]));
  return webhook;
}

Scrape RunningWebhook::Take() const {
  const std::unique_ptr<server::RawPeer> peer = server::RawPeer::Connect(metrics_port_, ca_, /*max_version=*/0);
  EXPECT_TRUE(peer->Write("GET /metrics HTTP/1.1\r\nHost: webhook\r\n\r\n"));
  const std::string answer = peer->ReadToEnd();
  const size_t head = answer.find("\r\n\r\n");
  const auto scrape = ReadExposition(head == std::string::npos ? "" : answer.substr(head + 4));
  EXPECT_TRUE(scrape.ok()) << scrape.status();
  return scrape.ok() ? *scrape : Scrape();
}

std::unique_ptr<server::RawPeer> RunningWebhook::Connect() const { return server::RawPeer::Connect(port_, ca_); }

void RunningWebhook::IssueFor(absl::Duration time) {
  WriteCertificate(time);
  process_->Signal(SIGHUP);
}

void RunningWebhook::WriteCertificate(absl::Duration time) const {
  server::TestCa::Form form;
  form.valid_for = time;
  const server::TestIdentity identity = ca_.Issue(form);
  Write(directory_ + "/tls.crt", identity.certificate);
  Write(directory_ + "/tls.key", identity.key);
}

}  // namespace keyferry::testing
