#include <boost/json.hpp>
#include <gtest/gtest.h>

#include "api/names.h"
#include "api/status_json.h"
#include "api/status_table.h"
#include "unit/api/fakes.h"

namespace hearth::api {
namespace {

namespace json = boost::json;

InstanceStatus three() {
  InstanceStatus status;
  status.instance = "default";
  status.version = "0.1.0";
  status.directory = "/run/hearth/default";
  status.supervisor_pid = 41;
  status.supervisor_since = seconds(1'700'000'000);
  status.keeper_pid = 40;
  status.keeper_generation = 1;
  status.services = {slot("app", "db", Phase::running), slot("app", "web", Phase::running),
                     slot("app", "web", Phase::backoff)};
  status.services[2].index = 1;
  return status;
}

TEST(ApiStatus, has_every_documented_field_and_null_for_what_is_not_there) {
  InstanceStatus status = three();
  const json::value parsed = json::parse(status_json(status, {0}));
  const json::object& service = parsed.at("services").at(0).as_object();
  for (const char* name :
       {"project", "name", "index", "state", "ready", "pid", "run", "since", "started", "restarts", "exit",
        "next_retry", "reason", "reason_text", "containment", "status", "log_directory", "log"}) {
    EXPECT_TRUE(service.contains(name)) << name;
  }
  for (const char* name : {"pid", "run", "since", "started", "exit", "next_retry"}) {
    EXPECT_TRUE(service.at(name).is_null()) << name;
  }
  EXPECT_EQ(parsed.at("supervisor").at("since").as_string(), "2023-11-14T22:13:20.000Z");
  EXPECT_EQ(parsed.at("keeper").at("pid").as_int64(), 40);
  EXPECT_TRUE(parsed.at("logger").at("pid").is_null());
  EXPECT_TRUE(parsed.at("spawners").as_array().empty());
  EXPECT_EQ(service.at("state").as_string(), "running");
}

TEST(ApiStatus, an_exit_tells_code_or_signal_and_where_a_start_failed) {
  InstanceStatus status = three();
  ExitInfo& exit = status.services[0].last_exit;
  exit = {.code = 3, .status = 11, .run = 7, .at = seconds(1)};
  json::value at = json::parse(status_json(status, {0})).at("services").at(0).at("exit");
  EXPECT_TRUE(at.at("code").is_null());
  EXPECT_EQ(at.at("signal").as_int64(), 11);
  EXPECT_TRUE(at.at("core").as_bool());

  exit = {.code = 1, .status = 0, .run = 7, .at = seconds(1)};
  at = json::parse(status_json(status, {0})).at("services").at(0).at("exit");
  EXPECT_EQ(at.at("code").as_int64(), 0);
  EXPECT_TRUE(at.at("signal").is_null());

  exit = {.fail_stage = 4, .fail_errno = 2, .run = 7, .at = seconds(1)};
  at = json::parse(status_json(status, {0})).at("services").at(0).at("exit");
  EXPECT_TRUE(at.at("code").is_null());
  EXPECT_EQ(at.at("stage").as_int64(), 4);
  EXPECT_EQ(at.at("errno").as_int64(), 2);
}

TEST(ApiStatus, a_log_tells_what_was_written_and_lost_and_why_it_waits) {
  InstanceStatus status = three();
  json::value log = json::parse(status_json(status, {0})).at("services").at(0).at("log");
  EXPECT_EQ(log.at("written").as_int64(), 0);
  EXPECT_TRUE(log.at("waiting").is_null());
  EXPECT_TRUE(log.at("trouble").is_null());
  status.services[0].log = {.written = 81'234,
                            .discarded = 4096,
                            .gaps = 2,
                            .file = 7,
                            .dropped = 3,
                            .dropped_reason = "Connection refused",
                            .untidied = "Read-only file system",
                            .waiting = "No space left on device"};
  log = json::parse(status_json(status, {0})).at("services").at(0).at("log");
  EXPECT_EQ(log.at("written").as_int64(), 81'234);
  EXPECT_EQ(log.at("file").as_int64(), 7);
  EXPECT_EQ(log.at("dropped").as_int64(), 3);
  EXPECT_EQ(log.at("dropped_reason").as_string(), "Connection refused");
  EXPECT_EQ(log.at("untidied").as_string(), "Read-only file system");
  EXPECT_EQ(log.at("discarded").as_int64(), 4096);
  EXPECT_EQ(log.at("gaps").as_int64(), 2);
  EXPECT_EQ(log.at("waiting").as_string(), "No space left on device");
  EXPECT_TRUE(log.at("trouble").as_string().starts_with("its log waits: No space left on device, and "));
}

TEST(ApiStatus, output_alone_does_not_wake_who_waits_for_an_order) {
  OrderReport report{.order = 1, .verb = Verb::apply, .slots = {{Outcome::pending, slot("a", "b", Phase::starting)}}};
  const ReportText first = report_json(report);
  report.slots[0].status.log.written = 1;
  EXPECT_EQ(report_json(report).seen, first.seen);
}

TEST(ApiStatus, the_report_of_an_order_has_another_seen_when_anything_in_it_changed) {
  OrderReport report{.order = 1, .verb = Verb::apply, .slots = {{Outcome::pending, slot("a", "b", Phase::starting)}}};
  const ReportText first = report_json(report);
  EXPECT_EQ(report_json(report).seen, first.seen);
  report.slots[0].status.status_text = "loading";
  EXPECT_NE(report_json(report).seen, first.seen);
  const json::value parsed = json::parse(first.json);
  EXPECT_EQ(parsed.at("verb").as_string(), "apply");
  EXPECT_EQ(parsed.at("slots").at(0).at("outcome").as_string(), "pending");
  EXPECT_EQ(std::stoull(std::string(parsed.at("seen").as_string()), nullptr, 16), first.seen);
}

TEST(ApiStatus, keys_are_thirty_two_hex_digits) {
  OperationKey key{};
  EXPECT_TRUE(parse_key("00112233445566778899AABBccddeeff", key));
  EXPECT_EQ(key_text(key), "00112233445566778899aabbccddeeff");
  EXPECT_FALSE(parse_key("00112233445566778899aabbccddeef", key));
  EXPECT_FALSE(parse_key("g0112233445566778899aabbccddeeff", key));
}

TEST(ApiNames, select_by_service_project_and_index_with_patterns) {
  const InstanceStatus status = three();
  using Chosen = std::vector<std::size_t>;
  EXPECT_EQ(choose(status, {}).value(), (Chosen{0, 1, 2}));
  EXPECT_EQ(choose(status, {"web"}).value(), (Chosen{1, 2}));
  EXPECT_EQ(choose(status, {"web.1"}).value(), (Chosen{2}));
  EXPECT_EQ(choose(status, {"app.db"}).value(), (Chosen{0}));
  EXPECT_EQ(choose(status, {"app.web.0", "d*"}).value(), (Chosen{0, 1}));
}

TEST(ApiNames, an_unknown_name_is_answered_with_the_nearest_known_one) {
  const auto chosen = choose(three(), {"wbe"});
  ASSERT_FALSE(chosen.has_value());
  EXPECT_EQ(chosen.error().remedy, Remedy::not_found);
  EXPECT_EQ(chosen.error().hint, "did you mean \"web\"?");
}

struct CodeCase {
  Phase phase;
  bool has_readiness;
  bool ready;
  std::uint32_t failures;
  Reason reason;
  int code;
};

TEST(ApiExitCode, says_how_one_service_stands) {
  for (const CodeCase& c : {CodeCase{Phase::running, false, false, 0, Reason::none, 0},
                            {Phase::running, true, true, 0, Reason::none, 0},
                            {Phase::running, true, false, 0, Reason::none, 151},
                            {Phase::running, true, true, 3, Reason::exited, 152},
                            {Phase::completed, false, false, 0, Reason::none, 0},
                            {Phase::stopped, false, false, 0, Reason::ordered, 3},
                            {Phase::starting, true, false, 0, Reason::none, 150},
                            {Phase::waiting, true, false, 0, Reason::none, 150},
                            {Phase::starting, true, false, 3, Reason::exited, 152},
                            {Phase::backoff, true, false, 1, Reason::exited, 151},
                            {Phase::backoff, true, false, 3, Reason::exited, 152},
                            {Phase::failed, true, false, 0, Reason::spawn_failed, 151},
                            {Phase::failed, true, false, 5, Reason::crash_loop, 152}}) {
    InstanceStatus status;
    SlotStatus s = slot("p", "s", c.phase);
    s.has_readiness = c.has_readiness;
    s.ready = c.ready;
    s.failures = c.failures;
    s.reason = c.reason;
    status.services = {s};
    EXPECT_EQ(status_exit_code(status, {0}), c.code) << phase_name(c.phase) << " " << c.failures;
  }
}

TEST(ApiExitCode, of_several_is_the_worst_and_of_none_not_running) {
  InstanceStatus status;
  status.services = {slot("p", "a", Phase::running), slot("p", "b", Phase::starting), slot("p", "c", Phase::stopped)};
  EXPECT_EQ(status_exit_code(status, {0, 1, 2}), 150);
  EXPECT_EQ(status_exit_code(status, {0, 2}), 3);
  EXPECT_EQ(status_exit_code(status, {0}), 0);
  EXPECT_EQ(status_exit_code(status, {}), 3);
}

TEST(ApiStatus, says_what_a_service_does_and_how_long_it_loaded) {
  InstanceStatus status = three();
  const auto service = [&] { return json::parse(status_json(status, {0})).at("services").at(0); };
  EXPECT_TRUE(service().at("work").is_null());
  EXPECT_TRUE(service().at("load_ms").is_null());
  EXPECT_TRUE(service().at("ailing").is_null());
  EXPECT_TRUE(service().at("waits_for").as_array().empty());
  status.services[0].work = Work::busy;
  status.services[0].work_item = "call 7";
  status.services[0].work_done = 7;
  status.services[0].load = milliseconds(38'200);
  status.services[0].ailing = "1 of 2 bad tries of its liveness";
  status.services[0].waits_for = {"blog.db.0"};
  status.services[0].tags = {"web", "night"};
  const json::value said = service();
  EXPECT_EQ(said.at("ailing").as_string(), "1 of 2 bad tries of its liveness");
  EXPECT_EQ(said.at("waits_for").at(0).as_string(), "blog.db.0");
  EXPECT_EQ(said.at("tags"), json::value({"web", "night"}));
  EXPECT_EQ(said.at("work").at("state").as_string(), "busy");
  EXPECT_EQ(said.at("work").at("item").as_string(), "call 7");
  EXPECT_EQ(said.at("work").at("done").as_int64(), 7);
  EXPECT_TRUE(said.at("work").at("total").is_null());
  EXPECT_EQ(said.at("load_ms").as_int64(), 38'200);
}

}  // namespace
}  // namespace hearth::api
