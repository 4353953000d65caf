#include "server/http/url.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

TEST(ParseHttpsUrlTest, ReadsWhatIsAllowed) {
  struct Case {
    std::string name;
    std::string url;
    std::string host;
    bool is_address;
    uint16_t port;
    std::string target;
    std::string authority;
  };
  for (const Case& c : std::vector<Case>{
           {"plain", "https://a.example/token", "a.example", false, 443, "/token", "a.example"},
           {"no path", "https://a.example", "a.example", false, 443, "/", "a.example"},
           {"query only", "https://a.example?x=1", "a.example", false, 443, "/?x=1", "a.example"},
           {"capitals", "HTTPS://A.Example/Token", "a.example", false, 443, "/Token", "a.example"},
           {"port", "https://a.example:8443/", "a.example", false, 8443, "/", "a.example:8443"},
           {"port of https", "https://a.example:443/", "a.example", false, 443, "/", "a.example"},
           {"IPv4", "https://192.0.2.1:1/x", "192.0.2.1", true, 1, "/x", "192.0.2.1:1"},
           {"IPv6", "https://[2001:DB8:0::1]:65535/x", "2001:db8::1", true, 65535, "/x", "[2001:db8::1]:65535"},
           {"IPv6 without port", "https://[::1]", "::1", true, 443, "/", "[::1]"},
           {"mapped IPv6 is an IPv6 address", "https://[::ffff:127.0.0.1]/", "::ffff:127.0.0.1", true, 443, "/",
            "[::ffff:127.0.0.1]"},
           {"escapes", "https://a.example/a%2Fb?c=%20", "a.example", false, 443, "/a%2Fb?c=%20", "a.example"},
           {"sub-delimiters", "https://a.example/a;b=(c)!$&'*+,@:?/?", "a.example", false, 443, "/a;b=(c)!$&'*+,@:?/?",
            "a.example"},
           {"punycode", "https://xn--bcher-kva.example/", "xn--bcher-kva.example", false, 443, "/",
            "xn--bcher-kva.example"},
           {"digits within", "https://1.2.example/", "1.2.example", false, 443, "/", "1.2.example"},
           {"single label", "https://localhost/", "localhost", false, 443, "/", "localhost"},
       }) {
    SCOPED_TRACE(c.name);
    const auto url = ParseHttpsUrl(c.url);
    ASSERT_TRUE(url.ok()) << url.status();
    EXPECT_EQ(url->host, c.host);
    EXPECT_EQ(url->host_is_address, c.is_address);
    EXPECT_EQ(url->port, c.port);
    EXPECT_EQ(url->target, c.target);
    EXPECT_EQ(url->Authority(), c.authority);
    const auto again = ParseHttpsUrl(url->ToString());
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->ToString(), url->ToString());
  }
}

TEST(ParseHttpsUrlTest, RefusesEverythingElse) {
  struct Case {
    std::string name;
    std::string url;
  };
  for (const Case& c : std::vector<Case>{
           {"empty", ""},
           {"http", "http://a.example/"},
           {"no scheme", "a.example/"},
           {"one slash", "https:/a.example/"},
           {"space before", " https://a.example/"},
           {"no host", "https:///x"},
           {"only a port", "https://:443/"},
           {"user", "https://u@a.example/"},
           {"user and password", "https://u:p@a.example/"},
           {"address as user", "https://127.0.0.1@a.example/"},
           {"backslash", "https://a.example\\@b.example/"},
           {"backslash in path", "https://a.example/\\x"},
           {"fragment", "https://a.example/#f"},
           {"fragment after host", "https://a.example#f"},
           {"empty port", "https://a.example:/"},
           {"port 0", "https://a.example:0/"},
           {"port too large", "https://a.example:65536/"},
           {"long port", "https://a.example:000443/"},
           {"port with sign", "https://a.example:+443/"},
           {"port in words", "https://a.example:https/"},
           {"hexadecimal port", "https://a.example:0x1bb/"},
           {"trailing dot", "https://a.example./"},
           {"address with trailing dot", "https://127.0.0.1./"},
           {"leading dot", "https://.a.example/"},
           {"two dots", "https://a..example/"},
           {"hyphen first", "https://-a.example/"},
           {"hyphen last", "https://a-.example/"},
           {"underscore", "https://a_b.example/"},
           {"escaped host", "https://%61.example/"},
           {"escaped dot", "https://127%2e0.0.1/"},
           {"not ASCII",
            "https://b\xc3\xbc"
            "cher.example/"},
           {"full width digits", "https://\xef\xbc\x91\xef\xbc\x92\xef\xbc\x97.0.0.1/"},
           {"one number", "https://2130706433/"},
           {"hexadecimal number", "https://0x7f000001/"},
           {"hexadecimal part", "https://127.0.0.0x1/"},
           {"only 0x", "https://a.0x/"},
           {"octal part", "https://0177.0.0.1/"},
           {"leading zero", "https://127.0.0.01/"},
           {"two parts", "https://127.1/"},
           {"three parts", "https://127.0.1/"},
           {"five parts", "https://127.0.0.0.1/"},
           {"part too large", "https://127.0.0.256/"},
           {"name that ends in a number", "https://a.example.1/"},
           {"IPv6 without brackets", "https://::1/"},
           {"IPv6 not closed", "https://[::1/"},
           {"IPv6 with zone", "https://[fe80::1%25eth0]/"},
           {"IPv6 with plain zone", "https://[fe80::1%eth0]/"},
           {"IPv4 in brackets", "https://[127.0.0.1]/"},
           {"future address", "https://[v1.a]/"},
           {"text after brackets", "https://[::1]a/"},
           {"space in path", "https://a.example/a b"},
           {"newline", "https://a.example/\r\nX: y"},
           {"newline in host", "https://a.example\n/"},
           {"null in host", std::string("https://127.0.0.1\0.example/", 27)},
           {"broken escape", "https://a.example/%2"},
           {"escape of no digits", "https://a.example/%zz"},
           {"quote", "https://a.example/\""},
           {"angle bracket", "https://a.example/<"},
           {"bracket in query", "https://a.example/?a[]=1"},
           {"label too long", "https://" + std::string(64, 'a') + ".example/"},
           {"name too long", "https://" + std::string(63, 'a') + "." + std::string(63, 'b') + "." +
                                 std::string(63, 'c') + "." + std::string(63, 'd') + "/"},
           {"too long", "https://a.example/" + std::string(8192, 'x')},
       }) {
    SCOPED_TRACE(c.name);
    const auto url = ParseHttpsUrl(c.url);
    ASSERT_FALSE(url.ok()) << url->ToString();
    EXPECT_EQ(url.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_FALSE(absl::StrContains(url.status().message(), "example")) << url.status();
  }
}

TEST(ParseHttpsOriginTest, HasNoPath) {
  EXPECT_TRUE(ParseHttpsOrigin("https://a.example").ok());
  EXPECT_TRUE(ParseHttpsOrigin("https://a.example:1/").ok());
  EXPECT_FALSE(ParseHttpsOrigin("https://a.example/x").ok());
  EXPECT_FALSE(ParseHttpsOrigin("https://a.example/?").ok());
}

TEST(NormalizeAuthorityTest, IsTheSameForWhatIsTheSame) {
  EXPECT_EQ(*NormalizeAuthority("A.example:443"), "a.example");
  EXPECT_EQ(*NormalizeAuthority("a.example:8443"), "a.example:8443");
  EXPECT_EQ(*NormalizeAuthority("[0::1]:80"), "[::1]:80");
  for (const char* text : {"", "a.example, b.example", "a.example/", "u@a.example", "a.example:", " a.example"}) {
    EXPECT_FALSE(NormalizeAuthority(text).ok()) << text;
  }
}

TEST(PercentTest, EncodesAllButUnreservedAndDecodesItAgain) {
  EXPECT_EQ(PercentEncode("aZ09-._~"), "aZ09-._~");
  EXPECT_EQ(PercentEncode("a b+c/d%&=\xff"), "a%20b%2Bc%2Fd%25%26%3D%FF");
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  EXPECT_EQ(*PercentDecode(PercentEncode(all)), all);
  EXPECT_EQ(*PercentDecode("%41%c3%BC+"), "A\xc3\xbc+");
  for (const char* text : {"%", "%4", "%4g", "%%41", "a%"}) EXPECT_FALSE(PercentDecode(text).ok()) << text;
}

TEST(FormTest, EncodesAndDecodesPairs) {
  const std::vector<std::pair<std::string, std::string>> pairs = {
      {"a b", "1&2=3"}, {"", "+"}, {"c", ""}, {"c", "\xff"}};
  EXPECT_EQ(FormEncode(pairs), "a%20b=1%262%3D3&=%2B&c=&c=%FF");
  EXPECT_EQ(*FormDecode(FormEncode(pairs)), pairs);
  EXPECT_EQ(FormEncode({}), "");
  EXPECT_TRUE(FormDecode("")->empty());
  EXPECT_EQ(*FormDecode("a=b+c&&d"), (std::vector<std::pair<std::string, std::string>>{{"a", "b c"}, {"d", ""}}));
  EXPECT_EQ(*FormDecode("a=b=c"), (std::vector<std::pair<std::string, std::string>>{{"a", "b=c"}}));
  EXPECT_FALSE(FormDecode("a=%").ok());
  std::string many;
  for (int i = 0; i < 257; ++i) many += "a&";
  EXPECT_FALSE(FormDecode(many).ok());
}

}  // namespace
}  // namespace keyferry::server
