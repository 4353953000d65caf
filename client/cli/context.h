#ifndef KEYFERRY_CLIENT_CLI_CONTEXT_H_
#define KEYFERRY_CLIENT_CLI_CONTEXT_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/outcome.h"
#include "client/cli/printer.h"
#include "client/cli/streams.h"
#include "client/connection.h"

namespace google::protobuf {
template <typename Element>
class RepeatedPtrField;
}

namespace keyferry::v1 {
class Caller;
}

namespace keyferry::client::cli {

// Whether a call may be sent again after the connection broke.
enum class Idempotent { kNo, kYes };

// What a command works with: settings, the connection (made when first needed) and the output.
class Context {
 public:
  Context(const CommandTree& tree, const Streams& streams, const Arguments& globals, const Printer& printer)
      : tree_(tree), streams_(streams), globals_(globals), printer_(printer) {}

  const CommandTree& tree() const { return tree_; }
  const Streams& streams() const { return streams_; }
  const Printer& printer() const { return printer_; }

  // kUsage if a setting is missing or a file named by one cannot be used.
  Outcome Connect(const Connection** connection);

  // "orgs/{org}" of the settings.
  Outcome Org(std::string* name);
  // The organization's id as a flag or KEYFERRY_ORG says it, without a connection; "" if neither does.
  std::string GivenOrg() const;
  // The calling principal.
  Outcome Caller(v1::Caller* caller);
  // "orgs/{org}/users/{user}" of the calling user; kUsage if the caller is no user.
  Outcome CallingUser(std::string* name);

  // `{org}/{collection}/{id}`, or `id` itself if it is a full resource name ("orgs/..."). kBadData if it is empty or
  // has a slash otherwise.
  Outcome ResourceName(const std::string& collection, const std::string& id, std::string* name);

  // Asks on the terminal whether to go on, unless `yes`. kUsage if there is no terminal to ask on; kOther on a no.
  Outcome Confirm(const std::string& question, bool yes);

  // One unary call through a stub's method, e.g. &v1::TokenService::Stub::GetCaller. Include the service's grpc.pb.h.
  template <typename Stub, typename Status, typename ClientContext, typename Request, typename Response>
  Outcome Call(Idempotent idempotent, Status (Stub::*method)(ClientContext*, const Request&, Response*),
               const Request& request, Response* response) {
    const Connection* connection = nullptr;
    KEYFERRY_RETURN_IF_FAILED(Connect(&connection));
    Stub stub(connection->channel());
    auto error = connection->Call(Policy(idempotent),
                                  [&](ClientContext* context) { return (stub.*method)(context, request, response); });
    if (error.has_value()) return FailureFrom(*error);
    return std::nullopt;
  }

  // All pages of a list, e.g. through &v1::ListUsersResponse::users.
  template <typename Stub, typename Status, typename ClientContext, typename Request, typename Response, typename Item>
  Outcome List(Status (Stub::*method)(ClientContext*, const Request&, Response*), Request request,
               const google::protobuf::RepeatedPtrField<Item>& (Response::*items)() const, std::vector<Item>* all) {
    request.set_page_size(kPageSize);
    for (;;) {
      Response response;
      KEYFERRY_RETURN_IF_FAILED(Call(Idempotent::kYes, method, request, &response));
      const auto& page = (response.*items)();
      all->insert(all->end(), page.begin(), page.end());
      if (response.next_page_token().empty()) return std::nullopt;
      request.set_page_token(response.next_page_token());
    }
  }

  template <typename Item>
  void PrintList(const std::vector<Item>& items, const std::vector<Column>& columns) const {
    std::vector<const google::protobuf::Message*> messages;
    for (const Item& item : items) messages.push_back(&item);
    printer_.List(messages, columns);
  }

  CallPolicy Policy(Idempotent idempotent) const;

 private:
  static constexpr int kPageSize = 1000;

  const CommandTree& tree_;
  const Streams& streams_;
  const Arguments& globals_;
  const Printer& printer_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_CONTEXT_H_
