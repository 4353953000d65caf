#ifndef KEYFERRY_SERVER_METRICS_API_METHODS_H_
#define KEYFERRY_SERVER_METRICS_API_METHODS_H_

#include <string>
#include <vector>

namespace keyferry::server {

// "Service/Method" of every method of the package keyferry.v1 that is compiled in, in no order.
std::vector<std::string> ApiMethods();

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_METRICS_API_METHODS_H_
