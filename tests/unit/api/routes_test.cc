#include "api/routes.h"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "api/status_json.h"
#include "config/document_json.h"
#include "unit/api/fakes.h"

namespace hearth::api {
namespace {

namespace json = boost::json;

constexpr const char* some_key = "00112233445566778899aabbccddeeff";

class Routes : public testing::Test {
 protected:
  Action ask(std::string_view method, std::string_view target, std::string_view body = {},
             std::string_view key = some_key) {
    return route({.method = method, .target = target, .idempotency_key = key, .last_event_id = {}, .body = body},
                 control, seconds(1'700'000'000));
  }
  // The status of an answer, with its error's remedy.
  std::string refused(const Action& action) {
    const Reply* reply = std::get_if<Reply>(&action);
    if (reply == nullptr) return "not answered";
    const json::value body = json::parse(reply->body);
    return std::to_string(reply->status) + " " + std::string(body.at("error").at("remedy").as_string());
  }
  FakeControl control;
};

TEST_F(Routes, status_is_json_unless_text_is_asked_for) {
  control.told.services = {slot("app", "web", Phase::starting)};
  const Reply as_json = std::get<Reply>(ask("GET", "/v1/status"));
  EXPECT_EQ(as_json.exit_code, 150);
  EXPECT_EQ(json::parse(as_json.body).at("services").as_array().size(), 1u);
  const Reply as_text = std::get<Reply>(ask("GET", "/v1/status?format=text&color=1&columns=60"));
  EXPECT_TRUE(std::string_view(as_text.type).starts_with("text/plain"));
  EXPECT_NE(as_text.body.find("\x1b["), std::string::npos);
}

TEST_F(Routes, notes_have_a_time_and_are_told_for_a_day) {
  // "now" of these tests is the wall clock that ask() passes on.
  control.told.notes = {{0, "how things are"}, {seconds(1), "long ago"}};
  const json::value told = json::parse(std::get<Reply>(ask("GET", "/v1/status")).body);
  ASSERT_EQ(told.at("notes").as_array().size(), 1u);
  EXPECT_EQ(told.at("notes").at(0).as_string(), "how things are");
  EXPECT_TRUE(told.at("notes_at").at(0).is_null());
}

TEST_F(Routes, what_is_said_of_many_services_in_the_same_words_is_said_once) {
  control.told.services.clear();
  for (int i = 0; i < 300; ++i) {
    const std::string name = "s" + std::to_string(i), label = "app." + name + ".0";
    control.told.services.push_back(slot("app", name, Phase::running));
    control.told.notes.push_back({0, label + ": pids_max is not held", label});
    if (i == 1) control.told.notes.push_back({0, "about all", ""});
    if (i < 2) control.told.notes.push_back({0, label + ": io_weight is not held", label});
    if (i < 2) control.told.notes.push_back({seconds(1'699'999'999), label + ": failed", label});
  }
  const auto notes = [&](const char* target) {
    std::vector<std::string> all;
    const json::value told = json::parse(std::get<Reply>(ask("GET", target)).body);
    for (const json::value& note : told.at("notes").as_array()) all.emplace_back(note.as_string());
    EXPECT_EQ(all.size(), told.at("notes_at").as_array().size());
    return all;
  };
  EXPECT_EQ(notes("/v1/status"),
            (std::vector<std::string>{"app.s0.0, app.s1.0, app.s2.0, app.s3.0 and 296 more: pids_max is not held",
                                      "app.s0.0 and app.s1.0: io_weight is not held", "app.s0.0: failed", "about all",
                                      "app.s1.0: failed"}))
      << "events are not how things are";
  EXPECT_EQ(notes("/v1/status?names=s7"), (std::vector<std::string>{"about all", "app.s7.0: pids_max is not held"}));
}

TEST_F(Routes, who_asks_for_some_services_is_not_told_notes_of_others) {
  control.told.services = {slot("app", "web", Phase::running), slot("app", "db", Phase::stopped)};
  control.told.notes = {{0, "app.web.0: it left something", "app.web.0"},
                        {0, "of one of its commands", "app.web.0.hook"},
                        {0, "the readiness file /run/db cannot be written", "app.db.0"},
                        {0, "of another replica", "app.web.01"},
                        {0, "the keeper was replaced"},
                        {0, "127.0.0.1: an address is no service"}};
  const auto notes = [&](const char* target) {
    std::string all;
    const json::value told = json::parse(std::get<Reply>(ask("GET", target)).body);
    for (const json::value& note : told.at("notes").as_array()) all += std::string(note.as_string()) + "\n";
    return all;
  };
  EXPECT_EQ(notes("/v1/status?names=web"),
            "app.web.0: it left something\nof one of its commands\nthe keeper was replaced\n"
            "127.0.0.1: an address is no service\n");
  EXPECT_NE(notes("/v1/status").find("/run/db cannot be written"), std::string::npos);
}

TEST_F(Routes, an_index_that_is_not_there_is_answered_with_those_that_are) {
  control.told.services = {slot("app", "worker", Phase::running), slot("app", "worker", Phase::running)};
  control.told.services[1].index = 1;
  for (const char* target : {"/v1/status?names=worker.7", "/v1/status?names=app.worker.7"}) {
    const Reply reply = std::get<Reply>(ask("GET", target));
    EXPECT_NE(reply.body.find("worker.0, "), std::string::npos) << reply.body;
    EXPECT_NE(reply.body.find("there is no replica of that index"), std::string::npos) << reply.body;
  }
}

TEST_F(Routes, status_of_chosen_names_decodes_its_query) {
  control.told.services = {slot("app", "web", Phase::running), slot("app", "db", Phase::stopped)};
  EXPECT_EQ(std::get<Reply>(ask("GET", "/v1/status?names=w%65b")).exit_code, 0);
  EXPECT_EQ(std::get<Reply>(ask("GET", "/v1/status?names=w*,db")).exit_code, 3);
  EXPECT_EQ(refused(ask("GET", "/v1/status?names=dbb")), "404 not_found");
}

TEST_F(Routes, an_order_becomes_a_request_with_its_key) {
  const Request order =
      std::get<Request>(ask("POST", "/v1/orders", R"({"verb":"restart","names":["web","db.1"],"project":"app"})"));
  EXPECT_EQ(order.verb, Verb::restart);
  EXPECT_EQ(order.names, (std::vector<std::string>{"web", "db.1"}));
  EXPECT_EQ(order.project, "app");
  EXPECT_EQ(key_text(order.key), some_key);
}

TEST_F(Routes, an_order_that_names_nothing_is_refused_because_it_may_be_a_mistake) {
  EXPECT_EQ(refused(ask("POST", "/v1/orders", R"({"verb":"stop"})")), "400 fix_input");
  EXPECT_TRUE(std::holds_alternative<Request>(ask("POST", "/v1/orders", R"({"verb":"stop","all":true})")));
  EXPECT_TRUE(std::holds_alternative<Request>(ask("POST", "/v1/orders", R"({"verb":"shutdown"})")));
}

TEST_F(Routes, only_start_and_restart_have_dependencies) {
  const auto body = [](const char* verb, const char* value) {
    return std::string(R"({"dependencies":)") + value + R"(,"verb":")" + verb + R"(","all":true})";
  };
  for (const char* verb : {"start", "restart"}) {
    EXPECT_FALSE(std::get<Request>(ask("POST", "/v1/orders", body(verb, "false"))).dependencies);
    EXPECT_TRUE(std::get<Request>(ask("POST", "/v1/orders", body(verb, "true"))).dependencies);
  }
  for (const char* verb : {"stop", "down", "shutdown", "leave"}) {
    for (const char* value : {"false", "true"}) {
      const auto answer = ask("POST", "/v1/orders", body(verb, value));
      EXPECT_EQ(refused(answer), "400 fix_input");
      EXPECT_NE(std::get<Reply>(answer).body.find("only start and restart"), std::string::npos) << verb;
    }
  }
}

TEST_F(Routes, down_names_services_a_project_or_a_file) {
  EXPECT_EQ(refused(ask("POST", "/v1/orders", R"({"verb":"down"})")), "400 fix_input");
  EXPECT_EQ(refused(ask("POST", "/v1/orders", R"({"verb":"down","names":["web"],"path":"/x"})")), "400 fix_input");
  for (const char* body : {R"({"verb":"down","names":["web"]})", R"({"verb":"down","all":true})",
                           R"({"verb":"down","project":"app","names":["web"]})", R"({"verb":"down","path":"/x"})"}) {
    EXPECT_TRUE(std::holds_alternative<Request>(ask("POST", "/v1/orders", body))) << body;
  }
}

TEST_F(Routes, apply_carries_the_document) {
  Document document;
  document.project = "app";
  document.path = "/srv/app/hearth.toml";
  document.services.push_back({.name = "web", .command = {"sleep", "1"}, .cwd = "/"});
  const std::string body = "{\"document\":" + config::document_to_json(document) + ",\"start\":false}";
  const Request apply = std::get<Request>(ask("POST", "/v1/apply", body));
  EXPECT_EQ(apply.verb, Verb::apply);
  EXPECT_FALSE(apply.start);
  ASSERT_EQ(apply.document.services.size(), 1u);
  EXPECT_EQ(apply.document.services[0].command, document.services[0].command);
}

TEST_F(Routes, an_upgrade_may_name_the_keepers_program_with_the_others_or_alone) {
  const Request all = std::get<Request>(
      ask("POST", "/v1/orders",
          R"({"verb":"upgrade","programs":{"supervisor":"/s","logger":"/l","keeper":"/k","keeper_file":"1:2"}})"));
  EXPECT_EQ(all.supervisor_program, "/s");
  EXPECT_EQ(all.keeper_program, "/k");
  EXPECT_EQ(all.keeper_file, "1:2");
  const Request alone =
      std::get<Request>(ask("POST", "/v1/orders", R"({"verb":"upgrade","programs":{"keeper":"/k"}})"));
  EXPECT_EQ(alone.keeper_program, "/k");
  EXPECT_EQ(alone.supervisor_program, "");
}

TEST_F(Routes, an_upgrade_names_two_programs) {
  const Request order = std::get<Request>(
      ask("POST", "/v1/orders",
          R"({"verb":"upgrade","programs":{"supervisor":"/new/hearth-supervisor","logger":"/new/l"}})"));
  EXPECT_EQ(order.verb, Verb::upgrade);
  EXPECT_EQ(order.supervisor_program, "/new/hearth-supervisor");
  EXPECT_EQ(order.logger_program, "/new/l");
  EXPECT_EQ(order.supervisor_file, "");
  const Request tried = std::get<Request>(ask(
      "POST", "/v1/orders",
      R"({"verb":"upgrade","programs":{"logger_file":"2:3","logger":"/l","supervisor":"/s","supervisor_file":"1:2"}})"));
  EXPECT_EQ(tried.supervisor_program, "/s");
  EXPECT_EQ(tried.supervisor_file, "1:2");
  EXPECT_EQ(tried.logger_file, "2:3");
  for (const char* bad :
       {R"({"verb":"upgrade"})", R"({"verb":"upgrade","programs":{"supervisor":"/s"}})",
        R"({"verb":"upgrade","programs":{"supervisor":"s","logger":"/l"}})",
        R"({"verb":"upgrade","programs":{"supervisor":"/s","logger":7}})", R"({"verb":"upgrade","programs":"/s"})",
        R"({"verb":"upgrade","programs":{"supervisor":"/s","keeper":"/k"}})",
        R"({"verb":"upgrade","programs":{"logger":"/l","keeper":"/k"}})",
        R"({"verb":"upgrade","programs":{"supervisor":"/s","logger":"/l","keeper":"k"}})",
        R"({"verb":"upgrade","programs":{"supervisor":"/s","logger":"/l","keeper":""}})",
        R"({"verb":"upgrade","programs":{"supervisor":"/s","logger":"/l","keeper_file":"1:2"}})",
        R"({"verb":"upgrade","programs":{"keeper":"/k","logger_file":"1:2"}})",
        R"({"verb":"upgrade","programs":{"keeper_file":"1:2"}})", R"({"verb":"upgrade","programs":{}})",
        R"({"verb":"upgrade","programs":{"keeper":"/k","spawner":"/p"}})",
        R"({"verb":"stop","all":true,"programs":{"keeper":"/k"}})",
        R"({"verb":"upgrade","programs":{"supervisor_file":"1:2","logger":"/l"}})",
        R"({"verb":"upgrade","programs":{"supervisor":"/s","logger":"/l","logger_file":7}})",
        R"({"verb":"stop","all":true,"programs":{"supervisor":"/s","logger":"/l"}})"})
    EXPECT_EQ(std::get<Reply>(ask("POST", "/v1/orders", bad)).status, 400) << bad;
}

TEST_F(Routes, a_scale_names_services_with_numbers) {
  const Request order =
      std::get<Request>(ask("POST", "/v1/orders", R"({"verb":"scale","replicas":{"web":4,"api":2}})"));
  EXPECT_EQ(order.verb, Verb::scale);
  EXPECT_EQ(order.replicas, (std::vector<std::pair<std::string, std::uint32_t>>{{"web", 4}, {"api", 2}}));
  for (const char* body :
       {R"({"verb":"scale"})", R"({"verb":"scale","replicas":{}})", R"({"verb":"scale","replicas":[4]})",
        R"({"verb":"scale","replicas":{"web":"4"}})", R"({"verb":"scale","replicas":{"web":-1}})",
        R"({"verb":"stop","names":["web"],"replicas":{"web":4}})"})
    EXPECT_EQ(refused(ask("POST", "/v1/orders", body)), "400 fix_input") << body;
}

TEST_F(Routes, a_signal_has_a_number_and_names) {
  const Request order = std::get<Request>(
      ask("POST", "/v1/orders", R"({"verb":"signal","signal":10,"names":["web"],"all_processes":true})"));
  EXPECT_EQ(order.signal, 10);
  EXPECT_TRUE(order.all_processes);
  for (const char* body :
       {R"({"verb":"signal","names":["web"]})", R"({"verb":"signal","signal":0,"names":["web"]})",
        R"({"verb":"signal","signal":65,"names":["web"]})", R"({"verb":"signal","signal":10})",
        R"({"verb":"stop","signal":10,"names":["web"]})", R"({"verb":"stop","names":["web"],"force":true})"})
    EXPECT_EQ(refused(ask("POST", "/v1/orders", body)), "400 fix_input") << body;
}

TEST_F(Routes, an_apply_may_reload_or_only_be_tried) {
  const std::string document = R"({"document":{"format":1,"project":"p","services":[{"name":"a","command":["x"]}]})";
  const Request dry = std::get<Request>(ask("POST", "/v1/apply", document + R"(,"reload":true,"dry_run":true})"));
  EXPECT_TRUE(dry.reload && dry.dry_run && dry.start);
  EXPECT_EQ(refused(ask("POST", "/v1/apply", document + R"(,"dry_run":1})")), "400 fix_input");
  Accepted accepted;
  accepted.changes = {{"web", Measure::restart, {"env"}, 1, 2}};
  const Reply reply = accepted_reply(accepted, {});
  EXPECT_EQ(reply.status, 200) << "nothing was accepted";
  const json::value told = json::parse(reply.body);
  EXPECT_EQ(told.at("changes").at(0).at("measure").as_string(), "restart");
  EXPECT_EQ(told.at("changes").at(0).at("keys").at(0).as_string(), "env");
  EXPECT_EQ(told.at("changes").at(0).at("replicas").as_int64(), 2);
  accepted.changes = {{"web", Measure::live, {"replicas"}, 1, 2}, {"db", Measure::live, {"restart"}, 1, 1}};
  const json::value scaled = json::parse(accepted_reply(accepted, {}).body);
  EXPECT_EQ(scaled.at("changes").at(0).at("measure").as_string(), "scale");
  EXPECT_EQ(scaled.at("changes").at(1).at("measure").as_string(), "live");
}

TEST_F(Routes, tags_choose_services_too) {
  control.told.services = {slot("app", "web", Phase::running), slot("app", "db", Phase::stopped)};
  control.told.services[0].tags = {"front"};
  EXPECT_EQ(std::get<Reply>(ask("GET", "/v1/status?names=%40front")).exit_code, 0);
  EXPECT_EQ(refused(ask("GET", "/v1/status?names=%40back")), "404 not_found");
}

TEST_F(Routes, mutations_need_a_key) {
  EXPECT_EQ(refused(ask("POST", "/v1/orders", R"({"verb":"shutdown"})", "")), "400 fix_input");
  EXPECT_EQ(refused(ask("POST", "/v1/apply", "{}", "abc")), "400 fix_input");
}

TEST_F(Routes, bodies_that_are_not_understood_are_refused_with_the_field_named) {
  for (const char* body :
       {"", "[]", "{", R"({"verb":"explode"})", R"({"verb":1})", R"({"names":["a"]})", R"({"verb":"stop","names":"a"})",
        R"({"verb":"stop","names":[1]})", R"({"verb":"stop","nmaes":["a"]})", R"({"verb":"stop","all":1})"}) {
    EXPECT_EQ(refused(ask("POST", "/v1/orders", body)), "400 fix_input") << body;
  }
  for (const char* body : {"", "[]", "{}", R"({"document":{}})", R"({"document":1})", R"({"start":true})",
                           R"({"document":{},"start":1})", R"({"documents":{}})"}) {
    EXPECT_EQ(refused(ask("POST", "/v1/apply", body)), "400 fix_input") << body;
  }
}

TEST_F(Routes, deeply_nested_bodies_are_refused_and_do_not_exhaust_the_stack) {
  const std::string deep(100'000, '[');
  EXPECT_EQ(refused(ask("POST", "/v1/orders", deep)), "400 fix_input");
  EXPECT_EQ(refused(ask("POST", "/v1/apply", "{\"document\":" + deep + std::string(100'000, ']') + "}")),
            "400 fix_input");
}

TEST_F(Routes, unknown_paths_and_wrong_methods_are_told_apart) {
  EXPECT_EQ(refused(ask("GET", "/v2/status")), "404 not_found");
  const Reply reply = std::get<Reply>(ask("POST", "/v1/status"));
  EXPECT_EQ(reply.status, 405);
  EXPECT_STREQ(reply.allow, "GET");
  EXPECT_EQ(std::get<Reply>(ask("GET", "/v1/orders")).status, 405);
}

TEST_F(Routes, waiting_for_an_order_is_bounded) {
  const std::string target = std::string("/v1/orders/") + some_key;
  EXPECT_EQ(std::get<OrderWait>(ask("GET", target + "?wait_ms=999999")).wait, longest_wait);
  EXPECT_EQ(std::get<OrderWait>(ask("GET", target + "?seen=00000000000000ff")).seen, 255u);
  EXPECT_EQ(refused(ask("GET", target + "?wait_ms=soon")), "400 fix_input");
  EXPECT_EQ(refused(ask("GET", target + "?wait_ms=-1")), "400 fix_input");
  EXPECT_EQ(refused(ask("GET", "/v1/orders/xyz")), "400 fix_input");
}

TEST_F(Routes, a_waiter_is_answered_when_its_order_settles_changes_or_time_is_up) {
  OrderWait waiter{.key = key_of(1), .wait = seconds(1)};
  EXPECT_EQ(look(waiter, control, false)->status, 404);
  OrderReport& report = control.orders[key_of(1)];
  report.slots = {{Outcome::pending, slot("a", "b", Phase::starting)}};
  EXPECT_FALSE(look(waiter, control, false).has_value());
  EXPECT_TRUE(look(waiter, control, true).has_value());
  waiter.seen = report_json(report).seen;
  EXPECT_FALSE(look(waiter, control, false).has_value());
  report.slots[0].status.pid = 12;
  EXPECT_TRUE(look(waiter, control, false).has_value());
  waiter.seen.reset();
  report.settled = true;
  EXPECT_TRUE(look(waiter, control, false).has_value());
}

TEST_F(Routes, refusals_of_the_supervisor_carry_all_parts_of_the_error) {
  const Result<Accepted> refusal =
      failure(Remedy::conflict, "apply", "blog", "another file has that label", "rename one of the projects");
  const Reply reply = accepted_reply(refusal, key_of(2));
  EXPECT_EQ(reply.status, 409);
  const json::value error = json::parse(reply.body).at("error");
  EXPECT_EQ(error.at("operation").as_string(), "apply");
  EXPECT_EQ(error.at("subject").as_string(), "blog");
  EXPECT_EQ(error.at("reason").as_string(), "another file has that label");
  EXPECT_EQ(error.at("hint").as_string(), "rename one of the projects");
}

}  // namespace
}  // namespace hearth::api
