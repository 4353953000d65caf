#ifndef KEYFERRY_INJECTOR_WEBHOOK_SERVER_QUESTIONS_H_
#define KEYFERRY_INJECTOR_WEBHOOK_SERVER_QUESTIONS_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/connection.h"
#include "client/connection_options.h"
#include "injector/webhook/rewrite/annotations.h"
#include "injector/webhook/rewrite/launch_definition.h"

namespace keyferry::injector::webhook {

// What the webhook asks keyferryd: how an MCP server is started, and which of its variables would have no value. Within
// two seconds each, so that Kubernetes gets its answer. Thread-safe.
class ServerQuestions {
 public:
  // Reads the files of the identity once, to see that they can be used; nothing is sent. INVALID_ARGUMENT.
  static absl::StatusOr<std::unique_ptr<ServerQuestions>> Open(const client::ConnectionOptions& options);

  // A DefinitionSource. Definitions are kept for some seconds, so that the pods of one ReplicaSet ask once.
  absl::StatusOr<LaunchDefinition> Define(const std::string& mcp_server, const std::string& team)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // A BindingCheck, for this identity without a session.
  std::vector<std::string> Check(const std::vector<ChosenContainer>& containers) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Kept {
    LaunchDefinition definition;
    absl::Time until;
  };

  explicit ServerQuestions(client::ConnectionOptions options) : options_(std::move(options)) {}

  // Made anew every minute, so that a token that was replaced is used.
  absl::StatusOr<std::shared_ptr<client::Connection>> Connect() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<LaunchDefinition> Ask(const std::string& mcp_server, const std::string& team);
  std::vector<std::string> CheckOne(const ChosenContainer& container);

  const client::ConnectionOptions options_;
  absl::Mutex mutex_;
  std::shared_ptr<client::Connection> connection_ ABSL_GUARDED_BY(mutex_);
  absl::Time opened_ ABSL_GUARDED_BY(mutex_);
  std::map<std::pair<std::string, std::string>, Kept> kept_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_SERVER_QUESTIONS_H_
