#ifndef KEYFERRY_SERVER_RPC_WIPING_ALLOCATOR_H_
#define KEYFERRY_SERVER_RPC_WIPING_ALLOCATOR_H_

#include "grpcpp/support/message_allocator.h"
#include "storage/records/typed.h"

namespace keyferry::server {

// Overwrites everything that a message holds.
struct WipeWhole {
  template <typename T>
  void operator()(T& message) const {
    storage::WipeMessage(message);
  }
};

// Makes the messages of one method that carries values, and overwrites them once the response has been written. A
// service hands it to gRPC with SetMessageAllocatorFor_METHOD, and keeps it as long as itself. `Wipe` is called with
// each message, for methods whose load makes it worth to name the fields that need it. Thread-safe.
//
// gRPC's own buffers are not overwritten.
template <typename Request, typename Response, typename Wipe = WipeWhole>
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
      Wipe()(request_);
      Wipe()(response_);
      delete this;
    }

   private:
    Request request_;
    Response response_;
  };
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RPC_WIPING_ALLOCATOR_H_
