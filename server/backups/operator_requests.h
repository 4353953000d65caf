#ifndef KEYFERRY_SERVER_BACKUPS_OPERATOR_REQUESTS_H_
#define KEYFERRY_SERVER_BACKUPS_OPERATOR_REQUESTS_H_

#include <string>

#include "server/backups/backups.h"
#include "server/backups/operator_socket.h"

namespace keyferry::server {

// Answers a request of the operator, a JSON object on one line, with JSON objects, one on each line:
//
//   {"command": "backup.create", "directory": DIR}     DIR may be left out where one is configured
//   {"command": "backup.list", "directory": DIR}
//   {"command": "backup.verify", "path": PATH}
//   {"command": "backup.status"}
//
// Any number of {"progress": {...}} come first; {"result": {...}} or {"error": {"code": ..., "message": ...}} is the
// last.
void AnswerOperator(Backups* backups, const std::string& request, const OperatorSocket::Send& send);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_BACKUPS_OPERATOR_REQUESTS_H_
