// The parts of Boost.Asio and Boost.Beast that are not templates.
#include <openssl/ssl.h>

#ifndef OPENSSL_IS_BORINGSSL
#error "the headers of OpenSSL were found before those of BoringSSL"
#endif

#include <boost/asio/impl/src.hpp>
#include <boost/asio/ssl/impl/src.hpp>
#include <boost/beast/src.hpp>
