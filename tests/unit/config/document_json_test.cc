#include "config/document_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/config/arbitrary.h"

namespace hearth::config {
namespace {

using testing::HasSubstr;

std::string reason_of(std::string_view text) {
  const Result<Document> document = document_from_json(text);
  return document ? "no error" : document.error().reason;
}

std::string with_service(std::string_view fields) {
  return R"({"format":1,"project":"p","services":[{"name":"a","command":["x"],)" + std::string(fields) + "}]}";
}

TEST(DocumentJson, every_field_survives_the_round_trip) {
  EXPECT_TRUE(rc::check("round trip", [] {
    const Document document = any_document();
    const Result<Document> back = document_from_json(document_to_json(document));
    if (!back) RC_FAIL(back.error().text());
    RC_ASSERT(equal(*back, document));
  }));
}

TEST(DocumentJson, equal_documents_give_equal_text) {
  EXPECT_TRUE(rc::check("stable", [] {
    const std::string text = document_to_json(any_document());
    const Result<Document> back = document_from_json(text);
    RC_ASSERT(back.has_value());
    RC_ASSERT(document_to_json(*back) == text);
  }));
}

TEST(DocumentJson, defaults_are_not_written) {
  Document document;
  document.project = "p";
  document.services.push_back({.name = "a", .command = {"sleep", "1"}, .cwd = "/"});
  EXPECT_EQ(document_to_json(document),
            R"({"format":1,"project":"p","services":[{"name":"a","command":["sleep","1"],"cwd":"/"}]})");
}

TEST(DocumentJson, bytes_that_are_not_utf8_are_written_in_hexadecimal) {
  Document document;
  document.project = "p";
  document.environment = {"A=\xff"};
  EXPECT_EQ(document_to_json(document), R"({"format":1,"project":"p","environment":[{"hex":"413dff"}]})");
}

TEST(DocumentJson, unknown_fields_of_a_newer_writer_are_ignored) {
  const auto document = document_from_json(
      R"({"format":1,"project":"p","flavour":[1],"services":[{"name":"a","command":["x"],"ready":{"type":"tcp","x":{}},"replicas":3}]})");
  ASSERT_TRUE(document.has_value()) << document.error().text();
  EXPECT_EQ(document->services.at(0).ready->type, ProbeType::tcp);
}

TEST(DocumentJson, another_format_is_refused_with_both_numbers) {
  EXPECT_THAT(reason_of(R"({"format":2,"project":"p"})"), HasSubstr("its format is 2, known is 1"));
  EXPECT_THAT(reason_of(R"({"project":"p"})"), HasSubstr("no \"format\""));
}

TEST(DocumentJson, what_is_not_a_json_object_is_refused) {
  EXPECT_THAT(reason_of(""), HasSubstr("not JSON"));
  EXPECT_THAT(reason_of("{\"format\":1"), HasSubstr("not JSON"));
  EXPECT_THAT(reason_of("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(reason_of(std::string(100, '[')), HasSubstr("not JSON"));
  EXPECT_THAT(reason_of("{\"format\":1,\"project\":\"\xff\"}"), HasSubstr("not JSON"));
}

TEST(DocumentJson, a_refusal_names_the_place) {
  EXPECT_EQ(reason_of(with_service(R"("stop_signal":65)")), "services[0].stop_signal is not an integer from 1 to 64");
  EXPECT_EQ(reason_of(with_service(R"("ready":{"type":"telepathy"})")),
            "services[0].ready.type is not one of the words of this field");
  EXPECT_EQ(reason_of(with_service(R"("depends_on":[{"condition":"ready"}])")),
            "services[0].depends_on[0] has no service");
  EXPECT_EQ(reason_of(with_service(R"("env":["A"])")), "services[0].env[0] is not of the form NAME=VALUE");
  EXPECT_EQ(reason_of(with_service(R"("cwd":7)")), "services[0].cwd is not a string");
  EXPECT_EQ(reason_of(with_service(R"("backoff":{"factor":11})")),
            "services[0].backoff.factor is not a number from 1 to 10");
}

TEST(DocumentJson, spans_and_numbers_outside_their_range_are_refused) {
  EXPECT_THAT(reason_of(with_service(R"("stop_timeout_ns":-1)")), HasSubstr("stop_timeout_ns is not an integer"));
  EXPECT_THAT(reason_of(with_service(R"("stop_timeout_ns":9223372036854775807)")), HasSubstr("is not an integer"));
  EXPECT_THAT(reason_of(with_service(R"("fdstore_max":4294967296)")), HasSubstr("is not an integer"));
  EXPECT_THAT(reason_of(with_service(R"("watchdog_ns":1.5)")), HasSubstr("is not an integer"));
  EXPECT_THAT(reason_of(with_service(R"("uid":-1)")), HasSubstr("is not an integer"));
}

TEST(DocumentJson, what_cannot_reach_the_kernel_is_refused) {
  EXPECT_THAT(reason_of(with_service(R"("cwd":"/a\u0000b")")), HasSubstr("cwd contains a NUL"));
  EXPECT_THAT(reason_of(with_service(R"("user":{"hex":"00"})")), HasSubstr("user contains a NUL"));
  EXPECT_THAT(reason_of(with_service(R"("user":{"hex":"0"})")), HasSubstr("user is not a string"));
  EXPECT_THAT(reason_of(with_service(R"("limits":[{"name":"nofile","soft":2,"hard":1}])")),
              HasSubstr("soft above hard"));
  EXPECT_THAT(reason_of(R"({"format":1,"project":"p","services":[{"name":"a"}]})"), HasSubstr("command is empty"));
  EXPECT_THAT(reason_of(with_service(R"("ready":{"type":"memory"})")),
              HasSubstr("ready.type: \"memory\" is for live only"));
  for (const char* so : {R"("required":false)", R"("condition":"completed")"})
    EXPECT_THAT(reason_of(with_service(R"("depends_on":[{"service":"b","stop":true,)" + std::string(so) + "}]")),
                HasSubstr("stop is for a dependency that has to be there"));
}

TEST(DocumentJson, names_are_checked_and_unique) {
  EXPECT_THAT(reason_of(R"({"format":1,"project":"../p"})"), HasSubstr("project is not a name"));
  EXPECT_THAT(reason_of(R"({"format":1,"project":"p","services":[{"command":["x"]}]})"), HasSubstr("has no name"));
  EXPECT_THAT(
      reason_of(R"({"format":1,"project":"p","services":[{"name":"a","command":["x"]},{"name":"a","command":["x"]}]})"),
      HasSubstr("there is another service \"a\""));
}

TEST(DocumentJson, an_unlimited_resource_is_a_word_and_not_a_huge_number) {
  Document document;
  document.project = "p";
  document.services.push_back(
      {.name = "a", .command = {"x"}, .process = ProcessSettings{.limits = {{"core", 0, UINT64_MAX}}}});
  const std::string text = document_to_json(document);
  EXPECT_THAT(text, HasSubstr(R"({"name":"core","soft":0,"hard":"unlimited"})"));
  EXPECT_EQ(document_from_json(text)->services.at(0).process->limits.at(0).hard, UINT64_MAX);
}

}  // namespace
}  // namespace hearth::config
