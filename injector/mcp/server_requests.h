#ifndef KEYFERRY_INJECTOR_MCP_SERVER_REQUESTS_H_
#define KEYFERRY_INJECTOR_MCP_SERVER_REQUESTS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "injector/mcp/server_process.h"

namespace keyferry::injector::mcp {

// The requests of all processes that the client has not answered (sampling, elicitation, roots, ping). Toward the
// client each has a number of its own, counted from 1 and never used again, as its id and, if it has one, as its
// progress token: processes choose both as they like, and two of them are bound to choose the same.
class ServerRequests {
 public:
  struct Request {
    ProcessId owner = 0;
    std::string id;  // As the owner wrote it.
    std::string id_key;
    std::string progress_token;  // As the owner wrote it; empty if there is none.
  };

  uint64_t Add(Request request);
  // By the key of the number (see MessageHead::id_key); nullptr if the client does not have it.
  const Request* Find(const std::string& number_key) const;
  // The number of the owner's request with that id; 0 if there is none.
  uint64_t NumberOf(ProcessId owner, const std::string& id_key) const;
  void Remove(const std::string& number_key);
  void Remove(uint64_t number);

  size_t CountOf(ProcessId owner) const;
  // In the order of their numbers.
  std::vector<uint64_t> NumbersOf(ProcessId owner) const;

 private:
  std::map<uint64_t, Request> requests_;
  uint64_t next_ = 1;
};

}  // namespace keyferry::injector::mcp

#endif  // KEYFERRY_INJECTOR_MCP_SERVER_REQUESTS_H_
