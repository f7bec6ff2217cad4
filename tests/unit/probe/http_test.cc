#include "probe/http.h"

#include <gtest/gtest.h>

namespace hearth::probe {
namespace {

TEST(HttpTarget, a_url_gives_address_and_request) {
  Result<HttpTarget> target = parse_http_url("http://127.0.0.1:8080/health?deep=1#x");
  ASSERT_TRUE(target);
  EXPECT_EQ(8080, target->address.port());
  EXPECT_TRUE(target->request.starts_with("GET /health?deep=1 HTTP/1.0\r\nHost: 127.0.0.1:8080\r\n"));
  EXPECT_TRUE(target->request.ends_with("\r\n\r\n"));
}

TEST(HttpTarget, the_port_is_80_and_the_path_is_root_when_they_are_not_said) {
  Result<HttpTarget> target = parse_http_url("http://[::1]");
  ASSERT_TRUE(target);
  EXPECT_EQ(80, target->address.port());
  EXPECT_TRUE(target->request.starts_with("GET / HTTP/1.0\r\nHost: [::1]\r\n"));
}

TEST(HttpTarget, localhost_is_both_families_and_unix_sockets_have_a_form_of_their_own) {
  EXPECT_NE(0u, parse_http_url("http://localhost:1/")->fallback.length);
  Result<HttpTarget> target = parse_http_url("unix:/run/app.sock:/ready");
  ASSERT_TRUE(target);
  EXPECT_EQ("/run/app.sock", target->address.path);
  EXPECT_TRUE(target->request.starts_with("GET /ready "));
}

TEST(HttpTarget, what_is_refused_is_refused_with_the_way_out) {
  for (const char* url :
       {"https://127.0.0.1/", "http://example.com/", "http://:80/", "http://127.0.0.1:0/", "http://127.0.0.1:99999/",
        "http://127.0.0.1/a b", "http://127.0.0.1/\r\nX: y", "unix:relative:/x", "unix:/a:b", "", "http://"}) {
    Result<HttpTarget> target = parse_http_url(url);
    ASSERT_FALSE(target) << url;
    EXPECT_EQ(Remedy::fix_input, target.error().remedy) << url;
  }
  EXPECT_NE(std::string::npos, parse_http_url("http://example.com/").error().text().find("not looked up"));
}

TEST(HttpStatus, the_first_line_decides_once_it_is_whole) {
  EXPECT_EQ(200, parse_status("HTTP/1.1 200 OK\r\nrest"));
  EXPECT_EQ(503, parse_status("HTTP/1.0 503\r\n"));
  EXPECT_EQ(204, parse_status("HTTP/1.1 204\n"));
  EXPECT_EQ(-1, parse_status("HTTP/1.1 200 OK"));
  EXPECT_EQ(-1, parse_status("HT"));
  EXPECT_EQ(-1, parse_status(""));
  for (const char* text : {"SSH-2.0-OpenSSH\r\n", "HTTP/2 200\r\n", "HTTP/1.1 20\r\n", "HTTP/1.1 2000\r\n",
                           "HTTP/1.1 999 x\r\n", "\r\n", "HTTP/1.1200 OK\r\n"})
    EXPECT_EQ(0, parse_status(text)) << text;
}

TEST(HttpStatus, without_an_expectation_2xx_and_3xx_are_good) {
  EXPECT_TRUE(status_is_good(204, 0));
  EXPECT_TRUE(status_is_good(302, 0));
  EXPECT_FALSE(status_is_good(404, 0));
  EXPECT_FALSE(status_is_good(101, 0));
  EXPECT_TRUE(status_is_good(404, 404));
  EXPECT_FALSE(status_is_good(200, 204));
}

}  // namespace
}  // namespace hearth::probe
