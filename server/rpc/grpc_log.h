#ifndef KEYFERRY_SERVER_RPC_GRPC_LOG_H_
#define KEYFERRY_SERVER_RPC_GRPC_LOG_H_

namespace keyferry::server {

// gRPC writes its own errors (failed handshakes, ports in use) to standard error in its own form, through one function
// for the whole process. These replace it. Protobuf's lines about requests that do not parse are dropped by both: who
// sent one is told, and anybody could fill the log with them.

// Drops them: start-up errors are told once, by whoever gets the status.
void DropGrpcLog();

// Writes each as a log line of level warning.
void WriteGrpcLogAsJson();

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RPC_GRPC_LOG_H_
