#ifndef KEYFERRY_SERVER_HTTP_REQUEST_CHECK_H_
#define KEYFERRY_SERVER_HTTP_REQUEST_CHECK_H_

#include <boost/system/error_code.hpp>
#include <cstddef>
#include <string>

#include "server/http/wiped_buffers.h"

namespace keyferry::server {

// Which requests a listener takes. Both answer the HTTP status of the refusal.

// Of a request whose head was read: 0 if it may go on. `authority` is the only one that is served; empty:
// any is.
int RefusalOfHead(const WipedParser</*isRequest=*/true>& parser, const std::string& authority, size_t max_body);

// Of a request that could not be read to its end; 0 if the connection has just ended. `late`: it took too long.
int RefusalOfError(const boost::system::error_code& error, bool late);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_REQUEST_CHECK_H_
