#include "tests/integration/any_call.h"

#include <stdio.h>
#include <stdlib.h>

#include <chrono>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/text_format.h"
#include "keyferry/v1/audit.pb.h"
#include "keyferry/v1/connections.pb.h"
#include "keyferry/v1/credentials.pb.h"
#include "keyferry/v1/directory.pb.h"
#include "keyferry/v1/mcp_servers.pb.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "keyferry/v1/processes.pb.h"
#include "keyferry/v1/resolution.pb.h"
#include "keyferry/v1/sessions.pb.h"
#include "keyferry/v1/tokens.pb.h"
#include "server/rpc/rpc_status.pb.h"

namespace keyferry::testing {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using google::protobuf::Message;
using google::protobuf::MessageFactory;

std::string PathOf(const std::string& method) {
  if (absl::StartsWith(method, "/")) return method;
  return absl::StrCat("/keyferry.v1.", absl::StrReplaceAll(method, {{".", "/"}}));
}

std::unique_ptr<Message> NewMessage(const google::protobuf::Descriptor* type) {
  return std::unique_ptr<Message>(MessageFactory::generated_factory()->GetPrototype(type)->New());
}

const google::protobuf::MethodDescriptor* FindMethod(const std::string& method) {
  const auto* found = DescriptorPool::generated_pool()->FindMethodByName("keyferry.v1." + method);
  if (found == nullptr) Die("no method " + method);
  return found;
}

std::string BytesOf(grpc::ByteBuffer* buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer->Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

bool IsStream(const std::string& method) {
  const auto* found = DescriptorPool::generated_pool()->FindMethodByName("keyferry.v1." + method);
  return found != nullptr && found->server_streaming();
}

// The first message of a stream, which is then ended; or the error that it ends with.
grpc::Status FirstOf(grpc::GenericStub* stub, const std::vector<std::string>& authorizations, const std::string& path,
                     const std::string& request, std::string* response) {
  grpc::CompletionQueue queue;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  for (const std::string& one : authorizations) context.AddMetadata("authorization", one);
  const grpc::Slice slice(request);
  const auto call = stub->PrepareCall(&context, path, &queue);
  call->StartCall(nullptr);
  AwaitOne(&queue);
  call->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), nullptr);
  AwaitOne(&queue);
  grpc::ByteBuffer first;
  call->Read(&first, nullptr);
  const bool came = AwaitOne(&queue);
  if (came) context.TryCancel();
  grpc::Status status;
  call->Finish(&status, nullptr);
  AwaitOne(&queue);
  if (!came) return status;
  if (response != nullptr) *response = BytesOf(&first);
  return grpc::Status::OK;
}

}  // namespace

void Die(const std::string& what) {
  fprintf(stderr, "%s\n", what.c_str());
  abort();
}

std::vector<std::string> AllMethods() {
  std::vector<std::string> methods;
  for (const FileDescriptor* file :
       {v1::Credential::descriptor()->file(), v1::Org::descriptor()->file(), v1::McpServer::descriptor()->file(),
        v1::ResolveRequest::descriptor()->file(), v1::Process::descriptor()->file(), v1::Token::descriptor()->file(),
        v1::Session::descriptor()->file(), v1::AuditEntry::descriptor()->file(),
        v1::OauthProvider::descriptor()->file(), v1::Connection::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      for (int m = 0; m < file->service(s)->method_count(); ++m) {
        methods.push_back(absl::StrCat(file->service(s)->name(), ".", file->service(s)->method(m)->name()));
      }
    }
  }
  return methods;
}

std::unique_ptr<Message> MakeRequest(const std::string& method, const std::string& text) {
  std::unique_ptr<Message> request = NewMessage(FindMethod(method)->input_type());
  google::protobuf::TextFormat::Parser parser;
  // The last of two settings of a field counts, so that an edit may follow a good request.
  if (!parser.MergeFromString(text, request.get())) Die(absl::StrCat("not a request of ", method, ": ", text));
  return request;
}

bool AwaitOne(grpc::CompletionQueue* queue) {
  void* tag = nullptr;
  bool ok = false;
  if (!queue->Next(&tag, &ok)) Die("the completion queue ended");
  return ok;
}

std::unique_ptr<Message> MakeResponse(const std::string& method) {
  return NewMessage(FindMethod(method)->output_type());
}

void PendingCall::Start(grpc::GenericStub* stub, const std::vector<std::string>& authorizations,
                        const std::string& method, const std::string& request, grpc::CompletionQueue* queue) {
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
  for (const std::string& one : authorizations) context.AddMetadata("authorization", one);
  const grpc::Slice slice(request);
  grpc::ByteBuffer bytes(&slice, 1);
  call = stub->PrepareUnaryCall(&context, PathOf(method), bytes, queue);
  call->StartCall();
  call->Finish(&response, &status, this);
}

std::string PendingCall::ResponseBytes() { return status.ok() ? BytesOf(&response) : ""; }

grpc::Status CallAny(grpc::GenericStub* stub, const std::vector<std::string>& authorizations, const std::string& method,
                     const std::string& request, std::string* response) {
  if (IsStream(method)) return FirstOf(stub, authorizations, PathOf(method), request, response);
  grpc::CompletionQueue queue;
  PendingCall pending;
  pending.Start(stub, authorizations, method, request, &queue);
  AwaitOne(&queue);
  if (response != nullptr) *response = pending.ResponseBytes();
  return pending.status;
}

v1::ErrorDetail DetailOf(const grpc::Status& status) {
  rpc::RpcStatus wire;
  v1::ErrorDetail detail;
  if (wire.ParseFromString(status.error_details()) && wire.details_size() == 1) wire.details(0).UnpackTo(&detail);
  return detail;
}

}  // namespace keyferry::testing
