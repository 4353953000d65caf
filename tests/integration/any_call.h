#ifndef KEYFERRY_TESTS_INTEGRATION_ANY_CALL_H_
#define KEYFERRY_TESTS_INTEGRATION_ANY_CALL_H_

#include <memory>
#include <string>
#include <vector>

#include "google/protobuf/message.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "keyferry/v1/errors.pb.h"

namespace keyferry::testing {

// Calls of methods that are named by text: "CredentialService.CreateCredential", in package keyferry.v1, or a whole
// path that begins with "/".

// Ends the test program.
[[noreturn]] void Die(const std::string& what);

std::vector<std::string> AllMethods();

// A request of the method, parsed from text format. Ends the program if the text is not one.
std::unique_ptr<google::protobuf::Message> MakeRequest(const std::string& method, const std::string& text);
// An empty answer of the method.
std::unique_ptr<google::protobuf::Message> MakeResponse(const std::string& method);

// One unary call, to be started with others.
struct PendingCall {
  grpc::ClientContext context;
  grpc::ByteBuffer response;
  grpc::Status status;
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> call;

  void Start(grpc::GenericStub* stub, const std::vector<std::string>& authorizations, const std::string& method,
             const std::string& request, grpc::CompletionQueue* queue);
  // Empty unless it succeeded.
  std::string ResponseBytes();
};
// Waits for the next that ends.
bool AwaitOne(grpc::CompletionQueue* queue);

// One call of any kind with these authorization headers. Of a stream it takes the first message, and then ends it.
grpc::Status CallAny(grpc::GenericStub* stub, const std::vector<std::string>& authorizations, const std::string& method,
                     const std::string& request, std::string* response);

// The detail of an error, empty if it has none.
v1::ErrorDetail DetailOf(const grpc::Status& status);

}  // namespace keyferry::testing

#endif  // KEYFERRY_TESTS_INTEGRATION_ANY_CALL_H_
