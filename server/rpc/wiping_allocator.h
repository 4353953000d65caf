#ifndef KEYFERRY_SERVER_RPC_WIPING_ALLOCATOR_H_
#define KEYFERRY_SERVER_RPC_WIPING_ALLOCATOR_H_

#include "grpcpp/support/message_allocator.h"
#include "storage/records/typed.h"

namespace keyferry::server {

// Makes the messages of one method that carries values, and overwrites them once the response has been written. A
// service hands it to gRPC with SetMessageAllocatorFor_METHOD, and keeps it as long as itself. Thread-safe.
//
// gRPC's own buffers are not overwritten.
template <typename Request, typename Response>
class WipingAllocator : public grpc::MessageAllocator<Request, Response> {
 public:
  grpc::MessageHolder<Request, Response>* AllocateMessages() override { return new Holder(); }

 private:
  class Holder : public grpc::MessageHolder<Request, Response> {
   public:
    Holder() {
      this->set_request(&request_);
      this->set_response(&response_);
    }
    void Release() override {
      storage::WipeMessage(request_);
      storage::WipeMessage(response_);
      delete this;
    }

   private:
    Request request_;
    Response response_;
  };
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RPC_WIPING_ALLOCATOR_H_
