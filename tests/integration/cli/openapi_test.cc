// docs/reference/openapi.json against a running hearth: each path is asked in good and in bad ways, and what is answered
// has to be what the file says. And the other way round: no answer has a member that the file does not know.
#include <algorithm>
#include <cctype>
#include <set>
#include <sys/socket.h>
#include <sys/un.h>

#include "integration/cli/hearth_command.h"
#include "places.h"

namespace hearth::cli {
namespace {

namespace json = boost::json;

class OpenApi : public CommandTest {
 protected:
  OpenApi() : api(json::parse(text_of(std::string(HEARTH_SOURCE_DIR) + "/docs/reference/openapi.json"))) {}

  struct Reply {
    std::string status, type, body;
  };

  Reply ask(const std::string& method, const std::string& target, const std::string& headers = "",
            const std::string& body = "") {
    const os::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    (directory + "/api.sock").copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    std::string request = method + " " + target + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + headers;
    if (method == "POST") request += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    request += "\r\n" + body;
    EXPECT_EQ(::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
    std::string answer;
    char buffer[4096];
    for (ssize_t n = 0; (n = ::recv(fd.get(), buffer, sizeof buffer, 0)) > 0;)
      answer.append(buffer, static_cast<std::size_t>(n));
    Reply reply;
    if (answer.size() > 12) reply.status = answer.substr(9, 3);
    const std::size_t type = answer.find("Content-Type: ");
    if (type != answer.npos) reply.type = answer.substr(type + 14, answer.find_first_of(";\r", type) - type - 14);
    if (const std::size_t end = answer.find("\r\n\r\n"); end != answer.npos) reply.body = answer.substr(end + 4);
    return reply;
  }

  const json::value& resolve(const json::value& schema) {
    const json::value* reference = schema.as_object().if_contains("$ref");
    if (reference == nullptr) return schema;
    const std::string name(reference->as_string());
    return api.at("components").at("schemas").at(name.substr(name.rfind('/') + 1));
  }

  static bool is_type(const json::value& value, std::string_view type) {
    if (type == "null") return value.is_null();
    if (type == "string") return value.is_string();
    if (type == "boolean") return value.is_bool();
    if (type == "integer") return value.is_int64() || value.is_uint64();
    if (type == "array") return value.is_array();
    return type == "object" && value.is_object();
  }

  void expect_fits(const json::value& value, const json::value& unresolved, const std::string& where) {
    const json::object& schema = resolve(unresolved).as_object();
    if (const json::value* only = schema.if_contains("const")) {
      EXPECT_EQ(value, *only) << where;
    }
    if (const json::value* list = schema.if_contains("enum")) {
      const json::array& known = list->as_array();
      EXPECT_NE(std::find(known.begin(), known.end(), value), known.end()) << where << " is " << value;
    }
    if (const json::value* type = schema.if_contains("type")) {
      bool fits = type->is_string() && is_type(value, type->as_string());
      if (type->is_array())
        for (const json::value& one : type->as_array()) fits = fits || is_type(value, one.as_string());
      EXPECT_TRUE(fits) << where << " is " << value;
    }
    if (value.is_array())
      for (const json::value& item : value.as_array()) expect_fits(item, schema.at("items"), where + "[]");
    const json::value* properties = schema.if_contains("properties");
    if (!value.is_object() || properties == nullptr) return;
    for (const json::value& name : schema.at("required").as_array())
      EXPECT_TRUE(value.as_object().contains(name.as_string())) << where << " lacks " << name;
    for (const auto& member : value.as_object()) {
      const json::value* known = properties->as_object().if_contains(member.key());
      if (known == nullptr)
        ADD_FAILURE() << "openapi.json does not know " << where << "." << member.key();
      else
        expect_fits(member.value(), *known, where + "." + std::string(member.key()));
    }
  }

  // The answer is one of the operation's, with its type and members. Returns the status.
  std::string expect_known(const std::string& path, const std::string& method, const Reply& reply) {
    std::string verb = method;
    for (char& c : verb) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    asked.insert(path + " " + verb);
    const json::object& responses = api.at("paths").at(path).at(verb).at("responses").as_object();
    const json::value* response = responses.if_contains(reply.status);
    if (response == nullptr) {
      ADD_FAILURE() << method << " " << path << " answers " << reply.status << ": " << reply.body;
      return reply.status;
    }
    const json::value* content = response->at("content").as_object().if_contains(reply.type);
    if (content == nullptr) {
      ADD_FAILURE() << method << " " << path << " answers with " << reply.type;
    } else if (reply.type == "application/json") {
      expect_fits(json::parse(reply.body), content->at("schema"), path + " " + reply.status);
    } else if (reply.type == "text/event-stream") {
      std::istringstream lines(reply.body);
      for (std::string line; std::getline(lines, line);)
        if (line.starts_with("data: ")) expect_fits(json::parse(line.substr(6)), content->at("schema"), "event");
    }
    return reply.status;
  }
  std::string check(const std::string& path, const std::string& method, const std::string& target,
                    const std::string& headers = "", const std::string& body = "") {
    return expect_known(path, method, ask(method, target, headers, body));
  }

  json::value api;
  std::set<std::string> asked;
};

TEST_F(OpenApi, a_running_hearth_answers_as_the_file_says) {
  write("hearth.toml",
        "[service.web]\ncommand = [\"sleep\", \"1000\"]\n"
        "[service.bad]\ncommand = [\"sh\", \"-c\", \"exit 3\"]\nrestart = \"never\"\n");
  (void)hearth({"up"});
  ASSERT_TRUE(eventually([&] { return hearth({"status", "bad"}).code == 151; }));
  const std::string key = "Idempotency-Key: 000102030405060708090a0b0c0d0e0f\r\n";
  EXPECT_EQ(check("/v1/health", "GET", "/v1/health"), "200");
  EXPECT_EQ(check("/v1/instance", "GET", "/v1/instance"), "200");
  EXPECT_EQ(check("/v1/status", "GET", "/v1/status"), "200");
  EXPECT_EQ(check("/v1/status", "GET", "/v1/status?format=text"), "200");
  EXPECT_EQ(check("/v1/status", "GET", "/v1/status?format=xml"), "400");
  EXPECT_EQ(check("/v1/status", "GET", "/v1/status?names=nobody"), "404");
  EXPECT_EQ(check("/v1/orders", "POST", "/v1/orders", key, R"({"verb":"restart","names":["web"]})"), "202");
  EXPECT_EQ(check("/v1/orders", "POST", "/v1/orders", "", R"({"verb":"restart","names":["web"]})"), "400");
  EXPECT_EQ(check("/v1/orders", "POST", "/v1/orders", "Idempotency-Key: 100102030405060708090a0b0c0d0e0f\r\n",
                  R"({"verb":"stop","names":["nobody"]})"),
            "404");
  EXPECT_EQ(check("/v1/orders/{key}", "GET", "/v1/orders/000102030405060708090a0b0c0d0e0f?wait_ms=20000"), "200");
  EXPECT_EQ(check("/v1/orders/{key}", "GET", "/v1/orders/f00102030405060708090a0b0c0d0e0f"), "404");
  EXPECT_EQ(check("/v1/orders/{key}", "GET", "/v1/orders/short"), "400");
  EXPECT_EQ(check("/v1/apply", "POST", "/v1/apply", "Idempotency-Key: 200102030405060708090a0b0c0d0e0f\r\n", "{}"),
            "400");
  EXPECT_EQ(check("/v1/orders", "POST", "/v1/orders", "Idempotency-Key: 300102030405060708090a0b0c0d0e0f\r\n",
                  R"({"verb":"scale","replicas":{"web":2}})"),
            "202");
  EXPECT_EQ(check("/v1/orders/{key}", "GET", "/v1/orders/300102030405060708090a0b0c0d0e0f?wait_ms=20000"), "200");
  EXPECT_EQ(check("/v1/orders", "POST", "/v1/orders", "Idempotency-Key: 400102030405060708090a0b0c0d0e0f\r\n",
                  R"({"verb":"scale","names":["web"]})"),
            "400");
  EXPECT_EQ(check("/v1/specification", "GET", "/v1/specification?name=web.1"), "200");
  EXPECT_EQ(check("/v1/specification", "GET", "/v1/specification?name=web"), "400") << "two have that name";
  EXPECT_EQ(check("/v1/specification", "GET", "/v1/specification?name=nobody"), "404");
  const std::string document = ask("GET", "/v1/specification?name=web.0").body;
  EXPECT_EQ(check("/v1/apply", "POST", "/v1/apply", "Idempotency-Key: 500102030405060708090a0b0c0d0e0f\r\n",
                  "{\"document\":" + document + ",\"dry_run\":true}"),
            "200");
  EXPECT_EQ(check("/v1/events", "GET", "/v1/events?follow=0"), "200");
  EXPECT_EQ(check("/v1/events", "GET", "/v1/events?after=x"), "400");
  for (const auto& path : api.at("paths").as_object())
    for (const auto& verb : path.value().as_object())
      EXPECT_TRUE(asked.contains(std::string(path.key()) + " " + std::string(verb.key())))
          << path.key() << " " << verb.key() << " is not tried";
}

TEST_F(OpenApi, the_file_is_whole) {
  EXPECT_EQ(api.at("openapi").as_string(), "3.1.0");
  const std::string text = json::serialize(api);
  for (const auto& schema : api.at("components").at("schemas").as_object())
    EXPECT_NE(text.find("#/components/schemas/" + std::string(schema.key()) + "\""), std::string::npos) << schema.key();
  std::set<std::string> ids;
  for (const auto& path : api.at("paths").as_object())
    for (const auto& verb : path.value().as_object())
      EXPECT_TRUE(ids.insert(std::string(verb.value().at("operationId").as_string())).second);
}

}  // namespace
}  // namespace hearth::cli
